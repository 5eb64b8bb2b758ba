// SPDX-License-Identifier: Apache-2.0
// libFuzzer target: whatever the bytes, MessagePack is read within its limits or refused, and what
// was read is written so that it reads as the same.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "wire/msgpack.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace netbuild;
    const std::string bytes(reinterpret_cast<const char*>(data), size);
    const auto value = parse_msgpack(bytes);
    if (!value) {
        const auto code = value.error().code();
        if (code != ErrorCode::corrupt && code != ErrorCode::payload_too_large) std::abort();
        return 0;
    }
    const std::string written = to_msgpack(*value);
    const auto again = parse_msgpack(written);
    // Byte for byte, for a NaN is not equal to itself.
    if (!again || to_msgpack(*again) != written) std::abort();
    return 0;
}
