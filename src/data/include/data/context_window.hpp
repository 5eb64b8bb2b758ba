// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "model/value.hpp"

namespace netbuild::data {

/// One thing that a model is given.
struct ContextPart {
    enum class Kind : unsigned char { system, pinned, summary, passage, message };
    Kind kind = Kind::message;
    /// Of a message: whose turn it is. Empty: the kind says it.
    std::string role = {};
    std::string text;
    /// What it is from.
    Object source;
    std::size_t tokens = 0;
};

/// What of the parts that are offered fits a budget. They are offered in the order of their worth,
/// which does not depend on the budget, and the first that does not fit ends it: so of two windows
/// over the same data the one with the smaller budget is a beginning of the other.
class ContextWindow {
public:
    /// Tokens of a part beside its text: what marks its beginning, its role and its end.
    static constexpr std::size_t part_tokens = 4;

    explicit ContextWindow(std::size_t budget_tokens) : budget_(budget_tokens) {}

    /// False: it did not fit, and nothing more will be taken.
    bool offer(ContextPart part);
    /// Nothing more is taken for another reason than the budget.
    void stop(Object why);

    [[nodiscard]] bool open() const noexcept { return !stopped_; }
    [[nodiscard]] std::size_t tokens() const noexcept { return used_; }
    [[nodiscard]] std::size_t left() const noexcept { return budget_ - used_; }
    /// The first that was not taken; none: everything fits.
    [[nodiscard]] const std::optional<Object>& stopped() const noexcept { return stopped_; }
    /// As a model reads them: what is fixed, the summary, passages best first, messages oldest
    /// first.
    [[nodiscard]] std::vector<ContextPart> parts() const;

private:
    std::size_t budget_;
    std::size_t used_ = 0;
    std::vector<ContextPart> taken_; // in the order of their worth
    std::optional<Object> stopped_;
};

[[nodiscard]] std::string_view kind_name(ContextPart::Kind kind) noexcept;

} // namespace netbuild::data
