// SPDX-License-Identifier: Apache-2.0
// libFuzzer target: whatever the bytes, a recording decodes, fails as `corrupt` or asks for more,
// and the result does not depend on the pieces in which the bytes came.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "wire/recording.hpp"

namespace {

using namespace netbuild;

std::string digest(std::string_view file, std::size_t piece) {
    RecordingDecoder decoder;
    std::string seen;
    for (std::size_t at = 0; at < file.size(); at += piece) {
        decoder.feed(file.substr(at, piece));
        for (;;) {
            const auto item = decoder.next();
            if (!item) return seen + "!";
            if (std::holds_alternative<RecordingDecoder::NeedMore>(*item)) break;
            seen += static_cast<char>('0' + item->index());
            if (const auto* message = std::get_if<RecordedMessage>(&*item)) {
                seen += message->pgoutput;
            }
        }
    }
    return seen;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view file(reinterpret_cast<const char*>(data), size);
    const std::string whole = digest(file, size + 1);
    const std::string pieces = digest(file, 1 + size / 7);
    // An error is noticed at the latest with the bytes that hold it, so both see the same items.
    if (whole != pieces) std::abort();
    return 0;
}
