// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "runtime/clock.hpp"

namespace netbuild {

/// Scratch space of one large transaction. Ends with its object, and with the process however that
/// ends: nothing in it has to survive. One call at a time.
class SpillFile {
public:
    virtual ~SpillFile() = default;
    /// Appends all of `bytes`, which stay where they are until it returns, or nothing: after a
    /// failure the same call may be made again. disk_full, unavailable.
    virtual awaitable<result<void>> append(std::string_view bytes) = 0;
    /// `size` bytes from `offset`, all of them appended before. unavailable.
    virtual awaitable<result<std::string>> read(std::uint64_t offset, std::size_t size) = 0;
};

/// Where spill files lie.
/// Contract: `tests/contract/spill_contract.hpp`.
class SpillArea {
public:
    virtual ~SpillArea() = default;
    /// An empty file. disk_full, unavailable.
    virtual awaitable<result<std::unique_ptr<SpillFile>>> create() = 0;
};

} // namespace netbuild
