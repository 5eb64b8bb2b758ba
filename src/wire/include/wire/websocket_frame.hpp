// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace netbuild::websocket {

/// RFC 6455, section 5.2.
enum class Opcode : std::uint8_t {
    continuation = 0,
    text = 1,
    binary = 2,
    close = 8,
    ping = 9,
    pong = 10,
};

/// RFC 6455, section 7.4.1.
namespace close_code {
constexpr std::uint16_t normal = 1000;
constexpr std::uint16_t going_away = 1001;
constexpr std::uint16_t protocol_error = 1002;
constexpr std::uint16_t no_status = 1005;
constexpr std::uint16_t invalid_payload = 1007;
constexpr std::uint16_t policy = 1008;
constexpr std::uint16_t too_big = 1009;
constexpr std::uint16_t try_again_later = 1013;
} // namespace close_code

constexpr std::size_t header_bytes_max = 10;

/// A server's header, unmasked and final, into the last bytes of `header`; its size is returned.
[[nodiscard]] std::size_t write_header(std::span<char, header_bytes_max> header, Opcode opcode,
                                       std::uint64_t payload_bytes);
/// A whole server's frame.
[[nodiscard]] std::string frame(Opcode opcode, std::string_view payload);
[[nodiscard]] std::string close_frame(std::uint16_t code, std::string_view reason = {});

/// One client's frames, put together to messages. Holds memory only between the fragments of a
/// message.
class Decoder {
public:
    enum class Step : std::uint8_t { need_more, text, binary, ping, pong, close, failed };
    struct Outcome {
        Step step = Step::need_more;
        /// Valid until the next call; of `close` the reason.
        std::string_view payload;
        /// Of `close` what the client gave (1005: none); of `failed` what to close with.
        std::uint16_t code = 0;
    };

    /// Takes the next frame off the front of `bytes`, unmasking it in place. `need_more`: what is
    /// left is the beginning of a frame, to be shown again with more after it.
    [[nodiscard]] Outcome next(std::span<char>& bytes, std::size_t payload_bytes_max);
    /// How many bytes the frame has whose beginning `need_more` left, as far as is known; for
    /// buffers that grow once.
    [[nodiscard]] static std::size_t wanted(std::span<const char> bytes);

private:
    struct Fragments {
        Opcode opcode;
        std::string payload;
    };
    std::unique_ptr<Fragments> fragments_;
    /// The message handed out last, if it came in fragments.
    std::unique_ptr<Fragments> delivered_;

    Outcome data_frame(Opcode opcode, bool fin, std::string_view payload);
};

} // namespace netbuild::websocket
