// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string_view>

#include "base/result.hpp"
#include "model/value.hpp"

namespace netbuild::payments {

/// Does the text hold a primary account number: 13 to 19 digits that begin with 2 to 9 and have a
/// right check digit (ISO/IEC 7812-1, annex B), in groups or not? Groups are parted by spaces,
/// dashes, dots or slashes of any kind of Unicode's, and full-width digits count. A number begins
/// and ends where a group does: one that hides inside more digits is not looked for, for a tenth of
/// all numbers would be one.
[[nodiscard]] bool holds_card_number(std::string_view text);

/// invalid_argument that names the first field of the body that holds one, in a text, a number or a
/// key; never what it is.
[[nodiscard]] result<void> refuse_card_numbers(const Value& body);

} // namespace netbuild::payments
