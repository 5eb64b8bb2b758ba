// SPDX-License-Identifier: Apache-2.0
#include "ports/vector_index.hpp"

#include <array>

namespace netbuild {
namespace {

constexpr std::array<std::string_view, 3> names = {"l2", "ip", "cosine"};

} // namespace

std::string_view metric_name(Metric metric) noexcept {
    return names[static_cast<std::size_t>(metric)];
}

std::optional<Metric> parse_metric(std::string_view name) noexcept {
    for (std::size_t i = 0; i < names.size(); ++i) {
        if (names[i] == name) return static_cast<Metric>(i);
    }
    return std::nullopt;
}

} // namespace netbuild
