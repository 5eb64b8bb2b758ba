// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace netbuild::realtime {

/// One that was read whole.
struct HttpRequest {
    std::string method;
    /// Path and query as they came.
    std::string target;
    /// Names in lower case, in order.
    std::vector<std::pair<std::string, std::string>> headers;
    std::string body;
    bool keep_alive = true;

    [[nodiscard]] std::string_view header(std::string_view name) const noexcept {
        for (const auto& [key, value] : headers)
            if (key == name) return value;
        return {};
    }
};

} // namespace netbuild::realtime
