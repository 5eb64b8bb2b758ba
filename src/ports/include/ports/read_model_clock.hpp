// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>

#include "base/position.hpp"
#include "runtime/clock.hpp"

namespace netbuild {

/// How fresh the read model is: what answers are stamped with and read-your-writes waits on.
class ReadModelClock {
public:
    virtual ~ReadModelClock() = default;
    /// Everything at or before it is in the store.
    [[nodiscard]] virtual Position applied() const = 0;
    /// While it is the same, no process definition in the model has changed; 0: not known. Asked in
    /// one go with applied(), it is of that Position.
    [[nodiscard]] virtual std::uint64_t definitions_version() const { return 0; }
    /// How far the model is behind what was captured, in commit time; 0 when it has all.
    [[nodiscard]] virtual std::int64_t lag_ms() const = 0;
    /// not_yet_consistent after `wait`.
    virtual awaitable<result<void>> wait_applied(Position position, Clock::duration wait) = 0;
};

} // namespace netbuild
