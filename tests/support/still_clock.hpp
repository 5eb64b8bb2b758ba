// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "runtime/clock.hpp"

namespace netbuild::test {

/// Time that stands still until a test moves it; nobody can wait for it.
class StillClock final : public Clock {
public:
    [[nodiscard]] duration monotonic() const override { return now; }
    [[nodiscard]] std::int64_t utc_us() const override { return 0; }
    awaitable<result<void>> sleep(duration) override {
        co_return fail(ErrorCode::internal, "this clock does not go by itself");
    }
    duration now = std::chrono::hours(1);
};

} // namespace netbuild::test
