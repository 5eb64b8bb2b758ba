// SPDX-License-Identifier: Apache-2.0
#include "cluster_keys_contract.hpp"

#include "redis/redis_cluster_bus.hpp"

namespace netbuild::test {
namespace {

struct Redis {
    explicit Redis(asio::io_context& context)
        : context_(context), bus_(context.get_executor(), clock_, {.url = redis_url()}) {
        bus_.start().value();
        must(context, bus_.subscribed()); // it is there
    }
    ~Redis() {
        must(context_, [](RedisClusterBus& bus) -> awaitable<result<void>> {
            co_await bus.stop();
            co_return result<void>{};
        }(bus_));
    }
    ClusterBus& bus() { return bus_; }
    void pass(Clock::duration time) { must(context_, clock_.sleep(time)); }
    asio::io_context& context_;
    SystemClock clock_;
    RedisClusterBus bus_;
};
INSTANTIATE_TYPED_TEST_SUITE_P(Redis, ClusterKeysContract, Redis);

} // namespace
} // namespace netbuild::test
