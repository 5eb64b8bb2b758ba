// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "query/query_service.hpp"

namespace netbuild::test {

/// A read model that has everything.
struct StandingClock final : ReadModelClock {
    [[nodiscard]] Position applied() const override { return Position{1, 0}; }
    [[nodiscard]] std::int64_t lag_ms() const override { return 0; }
    awaitable<result<void>> wait_applied(Position, Clock::duration) override {
        co_return result<void>{};
    }
};

} // namespace netbuild::test
