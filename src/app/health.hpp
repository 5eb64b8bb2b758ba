// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "runtime/clock.hpp"

namespace netbuild::app {

/// Whether a server answers, asked again and again by a task of its own: a question that hangs (a
/// connection that is open on our side only) shows as such, and whoever asks for readiness never
/// waits for it. Use from one executor.
class Health {
public:
    using Ping = std::function<awaitable<result<void>>()>;
    Health(Clock& clock, std::string name, Ping ping)
        : clock_(clock), name_(std::move(name)), ping_(std::move(ping)) {}

    /// Asks until it is cancelled.
    awaitable<result<void>> watch();
    /// What is wrong; nullopt if it answers.
    [[nodiscard]] std::optional<std::string> trouble() const;

private:
    Clock& clock_;
    std::string name_;
    Ping ping_;
    std::optional<std::string> trouble_ = "has not been asked yet";
    std::optional<Clock::duration> asked_at_;
};

} // namespace netbuild::app
