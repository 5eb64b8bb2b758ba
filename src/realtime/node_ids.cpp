// SPDX-License-Identifier: Apache-2.0
#include "node_ids.hpp"

#include <fmt/format.h>

namespace netbuild::realtime {

std::string short_id(Random& random, std::size_t characters) {
    constexpr std::string_view alphabet =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    std::string id;
    for (std::size_t i = 0; i < characters; ++i)
        id += alphabet[random.below(alphabet.size())];
    return id;
}

std::string hex_id(Random& random) { return fmt::format("{:016x}", random.next()); }

std::string glob_of(std::string_view text) {
    std::string glob;
    for (const char c : text) {
        if (std::string_view("*?[]^\\").find(c) != std::string_view::npos) glob += '\\';
        glob += c;
    }
    return glob;
}

std::vector<std::string> uids_in(const std::vector<std::string>& channels, std::string_view prefix,
                                 std::size_t characters) {
    std::vector<std::string> uids;
    for (const std::string_view channel : channels) {
        if (channel.size() == prefix.size() + characters + 1 && channel.starts_with(prefix) &&
            channel.ends_with('#'))
            uids.emplace_back(channel.substr(prefix.size(), characters));
    }
    return uids;
}

} // namespace netbuild::realtime
