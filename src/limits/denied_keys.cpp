// SPDX-License-Identifier: Apache-2.0
#include "limits/denied_keys.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

namespace netbuild::limits {
namespace {

__extension__ using Wide = unsigned __int128;

/// The halves of a product, one over the other: every bit of it hangs on every bit of both.
std::uint64_t folded(std::uint64_t left, std::uint64_t right) noexcept {
    const Wide product = static_cast<Wide>(left) * right;
    return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

template <class Number>
Number read(const char* from) noexcept {
    Number number;
    std::memcpy(&number, from, sizeof number);
    return number;
}

struct Pair {
    std::uint64_t first = 0, second = 0;
};

/// The last bytes of a text, at most 16, all of which tell: with its length no two are alike.
Pair last_bytes(std::string_view text) noexcept {
    const char* begin = text.data();
    const std::size_t size = text.size();
    if (size >= 16)
        return {read<std::uint64_t>(begin + size - 16), read<std::uint64_t>(begin + size - 8)};
    if (size >= 8) return {read<std::uint64_t>(begin), read<std::uint64_t>(begin + size - 8)};
    if (size >= 4) return {read<std::uint32_t>(begin), read<std::uint32_t>(begin + size - 4)};
    Pair pair;
    for (const char c : text)
        pair.first = pair.first << 8 | static_cast<unsigned char>(c);
    return pair;
}

} // namespace

DeniedKeys::DeniedKeys(std::size_t keys_max, Random random)
    : secrets_{random.next() | 1, random.next() | 1, random.next() | 1, random.next() | 1},
      mask_(std::bit_ceil(std::max<std::size_t>(1, (keys_max + ways - 1) / ways)) - 1),
      buckets_(mask_ + 1) {}

DeniedKeys::Print DeniedKeys::print_of(std::uint64_t policy, std::string_view key) const noexcept {
    Print print{secrets_[0] ^ policy, secrets_[1] ^ key.size()};
    const auto mix = [&](const Pair& pair) {
        print = {
            folded(pair.first ^ secrets_[0] ^ print.high, pair.second ^ secrets_[1] ^ print.low),
            folded(pair.first ^ secrets_[2] ^ print.low, pair.second ^ secrets_[3] ^ print.high)};
    };
    std::string_view left = key;
    for (; left.size() > 16; left.remove_prefix(16))
        mix({read<std::uint64_t>(left.data()), read<std::uint64_t>(left.data() + 8)});
    mix(last_bytes(left));
    mix({policy, key.size()});
    return print;
}

void DeniedKeys::deny(std::uint64_t policy, std::string_view key, Clock::duration until) noexcept {
    const Print print = print_of(policy, key);
    Bucket& bucket = buckets_[print.low & mask_];
    std::size_t place = 0;
    for (std::size_t i = 0; i < ways; ++i) {
        if (bucket.low[i] == print.low && bucket.high[i] == print.high) {
            place = i;
            break;
        }
        if (bucket.until[i] < bucket.until[place]) place = i;
    }
    bucket.low[place] = print.low;
    bucket.high[place] = print.high;
    bucket.until[place] = until.count();
}

void DeniedKeys::forget(std::uint64_t policy, std::string_view key) noexcept {
    const Print print = print_of(policy, key);
    Bucket& bucket = buckets_[print.low & mask_];
    for (std::size_t i = 0; i < ways; ++i) {
        if (bucket.low[i] == print.low && bucket.high[i] == print.high) bucket.until[i] = 0;
    }
}

} // namespace netbuild::limits
