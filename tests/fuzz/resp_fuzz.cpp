// SPDX-License-Identifier: Apache-2.0
// libFuzzer target: whatever a server sends, in whatever pieces, is cut into the same replies or
// refused as corrupt, within the limits.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "wire/resp.hpp"

namespace {

using netbuild::resp::Parser;
using netbuild::resp::Reply;

void describe(const Reply& reply, std::string& out) {
    out += std::to_string(static_cast<int>(reply.type)) + reply.text + "," +
           std::to_string(reply.integer) + "(";
    for (const Reply& element : reply.elements)
        describe(element, out);
    out += ")";
}

/// All replies and how it ended; `pieces` at a time.
std::string read(std::string_view bytes, std::size_t piece) {
    Parser::Limits limits;
    limits.text_bytes_max = 1 << 16;
    limits.reply_bytes_max = 1 << 20;
    limits.elements_max = 1 << 12;
    Parser parser(limits);
    std::string out;
    while (!bytes.empty()) {
        const auto next = bytes.substr(0, piece);
        bytes.remove_prefix(next.size());
        parser.feed(next);
        while (true) {
            const auto reply = parser.next();
            if (!reply) {
                if (reply.error().code() != netbuild::ErrorCode::corrupt) std::abort();
                return out + "!";
            }
            if (!*reply) break;
            describe(**reply, out);
        }
    }
    return out;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    if (read(bytes, size) != read(bytes, 1 + data[0] % 7)) std::abort();
    return 0;
}
