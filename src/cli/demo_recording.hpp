// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string_view>

namespace netbuild::cli {

/// demo/camunda.nbrec: Camunda 7.24 on PostgreSQL 15 driven through its operations.
[[nodiscard]] std::string_view demo_recording() noexcept;

} // namespace netbuild::cli
