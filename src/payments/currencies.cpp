// SPDX-License-Identifier: Apache-2.0
#include "payments/currencies.hpp"

#include <algorithm>

namespace netbuild::payments {
namespace {

// Alphabetical, four letters' places each, so that a look-up is a search by halves.
constexpr std::string_view with_two =
    "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BOV BRL BSD BTN BWP BYN BZD "
    "CAD CDF CHE CHF CHW CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL "
    "GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR "
    "LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD "
    "PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC "
    "SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XAD XCD XCG YER ZAR "
    "ZMW ZWG ";
constexpr std::string_view with_none =
    "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF ";
constexpr std::string_view with_three = "BHD IQD JOD KWD LYD OMR TND ";
constexpr std::string_view with_four = "CLF UYW ";

bool has(std::string_view list, std::string_view code) noexcept {
    std::size_t low = 0, high = list.size() / 4;
    while (low < high) {
        const std::size_t middle = (low + high) / 2;
        const std::string_view one = list.substr(middle * 4, 3);
        if (one == code) return true;
        if (one < code) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return false;
}

} // namespace

std::optional<int> currency_exponent(std::string_view code) noexcept {
    if (has(with_two, code)) return 2;
    if (has(with_none, code)) return 0;
    if (has(with_three, code)) return 3;
    if (has(with_four, code)) return 4;
    return std::nullopt;
}

} // namespace netbuild::payments
