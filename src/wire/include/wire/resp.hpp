// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

// RESP2 and RESP3, Redis' protocol (https://redis.io/docs/latest/develop/reference/protocol-spec/).
namespace netbuild::resp {

/// RESP3's further types are shown as the nearest of these: a map as an array of its keys and
/// values in turn, a set as an array, a boolean as 0 or 1, doubles and big numbers as their text.
struct Reply {
    /// push: an array that nobody asked for.
    enum class Type : std::uint8_t { text, error, integer, null, array, push };
    Type type = Type::null;
    /// text, error.
    std::string text;
    std::int64_t integer = 0;
    std::vector<Reply> elements;

    [[nodiscard]] bool is_error() const { return type == Type::error; }
};

/// Cuts a stream of bytes into replies.
class Parser {
public:
    struct Limits {
        std::size_t text_bytes_max = std::size_t{64} << 20;
        std::size_t reply_bytes_max = std::size_t{256} << 20;
        std::size_t elements_max = std::size_t{1} << 20;
        int depth_max = 8;
    };
    Parser() = default;
    explicit Parser(Limits limits) : limits_(limits) {}

    void feed(std::string_view bytes) { buffer_.append(bytes); }
    /// The next whole reply, or nothing yet. `corrupt`: what comes is no reply, or past a limit.
    [[nodiscard]] result<std::optional<Reply>> next();

private:
    enum class Outcome : std::uint8_t { whole, incomplete, bad };
    /// Whether a whole reply is there, within the limits. It goes on where it stopped, so that a
    /// large one that comes in many pieces is not read again from its beginning with each of them.
    Outcome scan();
    Outcome scan_item(std::size_t& at, std::size_t& elements);
    Outcome line(std::size_t& at, std::string_view& text);
    /// What scan() has found whole and well formed.
    void read(std::size_t& at, Reply& reply);
    void read_elements(std::size_t& at, std::size_t count, Reply& reply);

    Limits limits_;
    std::string buffer_;
    std::size_t begin_ = 0;
    /// Of the reply at begin_: what was looked at, and how many elements are missing at each level.
    std::size_t scanned_ = 0;
    std::vector<std::size_t> missing_;
    /// There is no whole reply before so many bytes are there.
    std::size_t needed_ = 0;
};

/// A command as an array of bulk strings.
void append_command(std::string& out, std::span<const std::string_view> words);
[[nodiscard]] std::string command(std::initializer_list<std::string_view> words);

/// The slot of a key or a shard channel in a Redis Cluster: CRC16 of its hash tag, or of it all.
inline constexpr std::uint16_t slots = 16384;
[[nodiscard]] std::uint16_t slot_of(std::string_view key);

} // namespace netbuild::resp
