// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "realtime/http_request.hpp"

namespace netbuild::realtime {

/// Reads one HTTP/1.1 request from pieces.
class HttpReader {
public:
    enum class State : std::uint8_t {
        need_more,
        head, // the request but for its body; go on to feed
        complete,
        failed,
    };
    struct Limits {
        std::uint32_t header_bytes_max;
        std::uint64_t body_bytes_max;
    };
    explicit HttpReader(Limits limits);
    ~HttpReader();

    /// `used` bytes are done with; the rest is to be shown again, with more after it.
    [[nodiscard]] State feed(std::string_view bytes, std::size_t& used);
    /// Of `head` without, of `complete` with its body.
    [[nodiscard]] HttpRequest& request();
    /// Of `failed`: 400, 413 or 431.
    [[nodiscard]] int status() const;

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

} // namespace netbuild::realtime
