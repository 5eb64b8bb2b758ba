// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <optional>
#include <string_view>

namespace netbuild::payments {

/// Decimal places of the currency's minor unit by ISO 4217's list one (as of September 2025): 2 for
/// EUR, 0 for JPY, 3 for KWD. nullopt: there is no such currency, or it has no minor unit (gold,
/// the codes for tests).
[[nodiscard]] std::optional<int> currency_exponent(std::string_view code) noexcept;

} // namespace netbuild::payments
