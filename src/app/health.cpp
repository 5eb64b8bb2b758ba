// SPDX-License-Identifier: Apache-2.0
#include "health.hpp"

#include <fmt/format.h>

namespace netbuild::app {
namespace {

constexpr std::chrono::milliseconds interval{500};
/// An answer that takes longer is missing.
constexpr std::chrono::seconds late{3};

} // namespace

awaitable<result<void>> Health::watch() {
    while (true) {
        asked_at_ = clock_.monotonic();
        const auto answer = co_await ping_();
        asked_at_.reset();
        trouble_ = answer ? std::nullopt : std::optional(answer.error().message());
        CO_TRY_VOID(co_await clock_.sleep(interval));
    }
}

std::optional<std::string> Health::trouble() const {
    if (asked_at_ && clock_.monotonic() - *asked_at_ > late) {
        const auto waiting =
            std::chrono::duration_cast<std::chrono::seconds>(clock_.monotonic() - *asked_at_);
        return fmt::format("{}: no answer for {} s", name_, waiting.count());
    }
    if (!trouble_) return std::nullopt;
    return trouble_->starts_with("has not") ? fmt::format("{} {}", name_, *trouble_) : trouble_;
}

} // namespace netbuild::app
