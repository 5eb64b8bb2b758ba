// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "wire/resp.hpp"

namespace netbuild {

/// Which master of a Redis Cluster owns which slot; empty: the server is no cluster.
class RedisTopology {
public:
    /// From the reply to CLUSTER SLOTS; a master without an address is at `asked`, the host that
    /// answered. Nothing if it is no such reply.
    [[nodiscard]] static std::optional<RedisTopology> from_reply(const resp::Reply& reply,
                                                                 const std::string& asked);
    /// "host:port", or empty.
    [[nodiscard]] std::string owner(std::uint16_t slot) const;
    /// What a MOVED tells of one slot.
    void move(std::uint16_t slot, const std::string& address);
    [[nodiscard]] bool is_cluster() const { return !first_slots_.empty(); }
    [[nodiscard]] std::vector<std::string> masters() const;
    /// One that this master owns; nothing: it owns none.
    [[nodiscard]] std::optional<std::uint16_t> slot_of_master(const std::string& master) const;
    friend bool operator==(const RedisTopology&, const RedisTopology&) = default;

private:
    /// The first slot of each range, and the owner up to the next one.
    std::map<std::uint16_t, std::string> first_slots_;
};

/// "MOVED 3999 127.0.0.1:6381", and ASK in the same form.
struct RedisRedirection {
    bool ask = false;
    std::uint16_t slot = 0;
    std::string address;
};
[[nodiscard]] std::optional<RedisRedirection> parse_redirection(std::string_view error,
                                                                const std::string& asked);

} // namespace netbuild
