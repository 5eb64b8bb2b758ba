// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "http/server.hpp"
#include "ports/event_bus.hpp"
#include "query/query_service.hpp"

namespace netbuild::http {

/// The routes of the contract (api/openapi.yaml).
class Routes final : public Handler {
public:
    struct Ports {
        query::QueryService& queries;
        ReadModelClock& model;
        EventBus& bus;
        Clock& clock;
        /// The body of GET /v1/sync.
        std::function<Value()> status;
        /// What keeps this process from being ready; empty: it is.
        std::function<std::vector<std::string>()> unready;
        /// Prometheus' text format.
        std::function<std::string()> metrics;
    };
    explicit Routes(Ports ports);
    ~Routes() override;

    awaitable<Response> handle(Request request) override;
    [[nodiscard]] bool streams(const Request& request) const override;
    awaitable<Response> stream_head(const Request& request) override;
    awaitable<void> stream(Request request, Stream& stream) override;

private:
    awaitable<result<query::Answer>> answer(const Request& request,
                                            std::vector<std::string> segments);
    awaitable<Response> plain(const Request& request, bool& found);
    awaitable<result<void>> follow(Position after, std::string room, Stream& stream);
    awaitable<result<void>> tell_removed(Position& after, Stream& stream);
    awaitable<result<Position>> catch_up(Position after, const std::string& room, Stream& stream);

    Ports ports_;
};

} // namespace netbuild::http
