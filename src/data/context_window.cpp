// SPDX-License-Identifier: Apache-2.0
#include "data/context_window.hpp"

#include <algorithm>
#include <functional>
#include <iterator>

#include "data/token_estimate.hpp"

namespace netbuild::data {

std::string_view kind_name(ContextPart::Kind kind) noexcept {
    constexpr std::string_view names[] = {"system", "pinned", "summary", "passage", "message"};
    return names[static_cast<std::size_t>(kind)];
}

bool ContextWindow::offer(ContextPart part) {
    if (stopped_) return false;
    part.tokens = estimate_tokens(part.text) + part_tokens;
    if (part.tokens > left()) {
        stop({{"kind", kind_name(part.kind)},
              {"source", std::move(part.source)},
              {"tokens", static_cast<std::int64_t>(part.tokens)},
              {"reason", "budget"}});
        return false;
    }
    used_ += part.tokens;
    taken_.push_back(std::move(part));
    return true;
}

void ContextWindow::stop(Object why) {
    if (!stopped_) stopped_ = std::move(why);
}

std::vector<ContextPart> ContextWindow::parts() const {
    const auto is_message = [](const ContextPart& part) {
        return part.kind == ContextPart::Kind::message;
    };
    std::vector<ContextPart> parts;
    parts.reserve(taken_.size());
    std::copy_if(taken_.begin(), taken_.end(), std::back_inserter(parts), std::not_fn(is_message));
    // Messages were offered newest first, some of them in front of the passages.
    std::copy_if(taken_.rbegin(), taken_.rend(), std::back_inserter(parts), is_message);
    return parts;
}

} // namespace netbuild::data
