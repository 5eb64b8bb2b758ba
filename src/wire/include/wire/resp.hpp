// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

// RESP2, Redis' protocol (https://redis.io/docs/latest/develop/reference/protocol-spec/).
namespace netbuild::resp {

struct Reply {
    enum class Type : std::uint8_t { text, error, integer, null, array };
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
    Outcome parse(std::size_t& at, Reply& reply, int depth);
    Outcome line(std::size_t& at, std::string_view& text);

    Limits limits_;
    std::string buffer_;
    std::size_t begin_ = 0;
    /// There is no whole reply before so many bytes are there.
    std::size_t needed_ = 0;
};

/// A command as an array of bulk strings.
void append_command(std::string& out, const std::vector<std::string_view>& words);
[[nodiscard]] std::string command(std::initializer_list<std::string_view> words);

/// The slot of a key or a shard channel in a Redis Cluster: CRC16 of its hash tag, or of it all.
inline constexpr std::uint16_t slots = 16384;
[[nodiscard]] std::uint16_t slot_of(std::string_view key);

} // namespace netbuild::resp
