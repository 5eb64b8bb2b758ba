// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runtime/random.hpp"

namespace netbuild::simulator {

/// A process variable's value in the columns of act_hi_varinst.
struct VariableValue {
    std::string type;
    std::optional<std::string> long_;
    std::optional<std::string> double_;
    std::optional<std::string> text;
    std::optional<std::string> text2;
    /// Json, Object, Bytes and File: what lies in act_ge_bytearray.
    std::optional<std::string> bytes;
};

[[nodiscard]] VariableValue string_value(std::string_view text);
[[nodiscard]] VariableValue integer_value(std::int32_t value);
[[nodiscard]] VariableValue long_value(std::int64_t value);
[[nodiscard]] VariableValue short_value(std::int16_t value);
[[nodiscard]] VariableValue double_value(double value);
[[nodiscard]] VariableValue boolean_value(bool value);
[[nodiscard]] VariableValue date_value(std::int64_t utc_ms);
[[nodiscard]] VariableValue null_value();
[[nodiscard]] VariableValue json_value(std::string text);
[[nodiscard]] VariableValue object_value(std::string json, std::string_view java_type);
[[nodiscard]] VariableValue bytes_value(std::string bytes);
[[nodiscard]] VariableValue file_value(std::string_view name, std::string_view mime_type,
                                       std::string bytes);

/// "acme", "bergmann-logistik", …, "domain-17".
[[nodiscard]] std::string tenant_name(unsigned index);
[[nodiscard]] std::string_view draw_reviewer(Random& random);
[[nodiscard]] std::string_view draw_packer(Random& random);
[[nodiscard]] std::string_view draw_cancel_reason(Random& random);
[[nodiscard]] double draw_amount(Random& random);
[[nodiscard]] std::string draw_address_json(Random& random);
/// Letters without a pattern, which do not compress: PostgreSQL stores them out of line.
[[nodiscard]] std::string draw_text(Random& random, std::size_t size);

/// What an order is started with, in no particular order.
[[nodiscard]] std::vector<std::pair<std::string, VariableValue>>
draw_start_variables(Random& random, std::uint64_t number, bool rich, std::int64_t now_ms);

} // namespace netbuild::simulator
