// SPDX-License-Identifier: Apache-2.0
// libFuzzer target: whatever the bytes, the decoder gives transactions or fails as `corrupt` or
// `payload_too_large`, never reads past a message and never keeps a view into one.
// The input is a sequence of messages, each after its length in two bytes.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "wire/pgoutput.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace netbuild;
    PgoutputDecoder decoder({.transaction_bytes_max = 1 << 20});
    std::size_t at = 0;
    while (at + 2 <= size) {
        const std::size_t length = static_cast<std::size_t>(data[at]) << 8 | data[at + 1];
        at += 2;
        // A copy of just this message on the heap: a read past its end is one past an allocation.
        const std::string message(reinterpret_cast<const char*>(data) + at,
                                  std::min(length, size - at));
        at += message.size();
        const auto decoded = decoder.decode(message);
        if (!decoded) {
            const auto code = decoded.error().code();
            if (code != ErrorCode::corrupt && code != ErrorCode::payload_too_large) std::abort();
            return 0;
        }
        if (!*decoded) continue;
        const Transaction& transaction = **decoded;
        std::size_t bytes = 0; // touches every cell
        for (std::size_t i = 0; i < transaction.size(); ++i) {
            for (const Cell& cell : transaction.row(i).cells)
                bytes += cell.text.size();
        }
        if (bytes > transaction.bytes()) std::abort();
    }
    return 0;
}
