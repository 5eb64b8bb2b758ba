// SPDX-License-Identifier: Apache-2.0
#include "redis_topology.hpp"

#include <charconv>
#include <set>

#include <fmt/format.h>

namespace netbuild {

std::optional<RedisTopology> RedisTopology::from_reply(const resp::Reply& reply,
                                                       const std::string& asked) {
    if (reply.type != resp::Reply::Type::array) return std::nullopt;
    RedisTopology topology;
    for (const resp::Reply& range : reply.elements) {
        if (range.elements.size() < 3 || range.elements[2].elements.size() < 2) return std::nullopt;
        const auto first = range.elements[0].integer, last = range.elements[1].integer;
        if (first < 0 || last < first || last >= resp::slots) return std::nullopt;
        const resp::Reply& master = range.elements[2];
        const std::string& host = master.elements[0].text;
        topology.first_slots_[static_cast<std::uint16_t>(first)] = fmt::format(
            "{}:{}", host.empty() || host == "?" ? asked : host, master.elements[1].integer);
        // Nobody's, unless the next range begins there.
        if (last + 1 < resp::slots)
            topology.first_slots_.try_emplace(static_cast<std::uint16_t>(last + 1));
    }
    return topology;
}

std::string RedisTopology::owner(std::uint16_t slot) const {
    auto after = first_slots_.upper_bound(slot);
    return after == first_slots_.begin() ? std::string() : std::prev(after)->second;
}

void RedisTopology::move(std::uint16_t slot, const std::string& address) {
    if (slot + 1 < resp::slots)
        first_slots_.try_emplace(static_cast<std::uint16_t>(slot + 1), owner(slot));
    first_slots_[slot] = address;
}

std::vector<std::string> RedisTopology::masters() const {
    std::set<std::string> masters;
    for (const auto& [slot, owner] : first_slots_)
        if (!owner.empty()) masters.insert(owner);
    return {masters.begin(), masters.end()};
}

std::optional<std::uint16_t> RedisTopology::slot_of_master(const std::string& master) const {
    for (const auto& [slot, owner] : first_slots_)
        if (owner == master) return slot;
    return std::nullopt;
}

std::optional<RedisRedirection> parse_redirection(std::string_view error,
                                                  const std::string& asked) {
    RedisRedirection found;
    if (error.starts_with("ASK ")) {
        found.ask = true;
        error.remove_prefix(4);
    } else if (error.starts_with("MOVED ")) {
        error.remove_prefix(6);
    } else {
        return std::nullopt;
    }
    const auto space = error.find(' ');
    if (space == std::string_view::npos) return std::nullopt;
    const auto [end, ec] = std::from_chars(error.data(), error.data() + space, found.slot);
    if (ec != std::errc{} || end != error.data() + space || found.slot >= resp::slots)
        return std::nullopt;
    found.address = error.substr(space + 1);
    if (found.address.starts_with(':')) found.address.insert(0, asked);
    return found;
}

} // namespace netbuild
