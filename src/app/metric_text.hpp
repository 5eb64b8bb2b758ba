// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <iterator>
#include <string>
#include <string_view>

#include <fmt/format.h>

namespace netbuild::app {

/// Prometheus' text exposition (https://prometheus.io/docs/instrumenting/exposition_formats/): what
/// stands before the samples of a metric.
inline void append_metric_head(std::string& out, std::string_view name, std::string_view type,
                               std::string_view help) {
    fmt::format_to(std::back_inserter(out), "# HELP {0} {1}\n# TYPE {0} {2}\n", name, help, type);
}

/// A metric of one sample, without labels.
template <class Number>
void append_metric(std::string& out, std::string_view name, std::string_view type,
                   std::string_view help, Number value) {
    append_metric_head(out, name, type, help);
    fmt::format_to(std::back_inserter(out), "{} {}\n", name, value);
}

} // namespace netbuild::app
