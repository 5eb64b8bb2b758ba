// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstddef>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "model/value.hpp"

namespace netbuild {

struct MsgpackLimits {
    std::size_t bytes_max = std::size_t{16} << 20;
    int depth_max = 128;
    /// A value of one byte takes tens of them in memory.
    std::size_t values_max = std::size_t{1} << 20;
};

/// MessagePack (https://github.com/msgpack/msgpack/blob/master/spec.md) to a Value, as the npm
/// packages notepack.io and @msgpack/msgpack write it: a timestamp is a Date, `d4 00 00`
/// (notepack's undefined) null, integers past int64 are doubles, other extensions [type, bytes].
/// Fails with `corrupt` for what is no message, with trailing bytes, a doubled or non-text key, and
/// with `payload_too_large` past a limit. A length is believed only as far as there are bytes.
[[nodiscard]] result<Value> parse_msgpack(std::string_view bytes, const MsgpackLimits& limits = {});

/// The shortest form of an integer; every double as float 64, for notepack writes whole ones past
/// 2^53 wrongly; a Date as timestamp 32, 64 or 96.
void append_msgpack(std::string& out, const Value& value);
[[nodiscard]] std::string to_msgpack(const Value& value);

/// For who writes a message without building a Value of it first.
void append_msgpack_array(std::string& out, std::size_t elements);
void append_msgpack_map(std::string& out, std::size_t members);
void append_msgpack_string(std::string& out, std::string_view text);

} // namespace netbuild
