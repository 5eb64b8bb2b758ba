// SPDX-License-Identifier: Apache-2.0
// libFuzzer target: whatever the bytes and however they are cut, the decoder gives messages within
// the limit, of valid UTF-8 if they are text, and the same ones for every cut. The first byte says
// how they are cut.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "wire/utf8.hpp"
#include "wire/websocket_frame.hpp"

namespace {

using namespace netbuild::websocket;
constexpr std::size_t payload_max = 1000;

std::vector<std::string> decode(const std::uint8_t* data, std::size_t size, std::size_t piece) {
    Decoder decoder;
    std::vector<std::string> all;
    std::vector<char> held;
    for (std::size_t at = 0; at < size; at += piece) {
        held.insert(held.end(), data + at, data + std::min(size, at + piece));
        std::span<char> bytes(held);
        while (true) {
            const auto outcome = decoder.next(bytes, payload_max);
            if (outcome.step == Decoder::Step::need_more) break;
            if (outcome.payload.size() > payload_max) std::abort();
            if (outcome.step == Decoder::Step::text && !netbuild::valid_utf8(outcome.payload))
                std::abort();
            all.push_back(std::to_string(static_cast<int>(outcome.step)) +
                          std::string(outcome.payload));
            if (outcome.step == Decoder::Step::failed) return all;
        }
        held = std::vector<char>(bytes.begin(), bytes.end());
    }
    return all;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const std::size_t piece = 1 + data[0] % 16;
    if (decode(data + 1, size - 1, piece) != decode(data + 1, size - 1, size)) std::abort();
    return 0;
}
