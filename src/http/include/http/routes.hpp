// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "feed/feed_reader.hpp"
#include "http/call.hpp"
#include "http/rate_limits.hpp"
#include "ports/event_bus.hpp"
#include "query/query_service.hpp"

namespace netbuild::http {

/// The routes of the contract (api/openapi.yaml).
class Routes final : public Handler {
public:
    struct Ports {
        query::QueryService& queries;
        ReadModelClock& model;
        Clock& clock;
        /// The body of GET /v1/sync.
        std::function<Value()> status;
        /// What keeps this process from being ready; empty: it is.
        std::function<std::vector<std::string>()> unready;
        /// Prometheus' text format.
        std::function<std::string()> metrics;
        /// Null: http.auth is "none", and whoever reaches the port may do anything.
        Authenticator* authenticator = nullptr;
        /// The stream of NetBuild's own data; null: nobody captures that.
        EventBus* documents = nullptr;
        /// How far this process's capture of it has come; zero or no function: it does not capture.
        std::function<Position()> documents_published = {};
        /// Null: there is no /v1/events.
        feed::EventFeed* feed = nullptr;
        /// Of a stream: who may what is looked up again so often, and at the end of its token.
        Clock::duration recheck = std::chrono::minutes(1);
        /// Null: everybody may ask as often as they like.
        RateLimits* limits = nullptr;
    };
    explicit Routes(Ports ports);
    ~Routes() override;

    /// What answers a rule of the table (access.hpp). Before the server listens; a route that no
    /// rule names, or that has an endpoint, throws: it would be a mistake of the program.
    void add(std::string_view method, std::string_view path, Endpoint endpoint);

    awaitable<Response> handle(Request request) override;
    [[nodiscard]] bool streams(const Request& request) const override;
    awaitable<Response> stream_head(const Request& request) override;
    awaitable<void> stream(Request request, Stream& stream) override;

private:
    struct Route;
    void add_plain();
    void add_queries();
    /// not_found, method_not_allowed. The path's variables are filled in.
    result<const Route*> find(const Request& request,
                              std::map<std::string, std::string, std::less<>>& path) const;
    awaitable<result<Caller>> authenticate(const Rule& rule, std::string authorization);
    /// Who asks, if that may be asked for now; `headers` gets those of its limits.
    awaitable<result<Caller>> admit(const Request& request, const Rule& rule,
                                    const RateLimits::Path& path, Headers& headers);
    awaitable<result<Reply>> answer(Request request, Headers& headers);
    awaitable<result<void>> wait_for(const Call& call);
    awaitable<result<Reply>> executions(Call& call);
    awaitable<result<Reply>> batch_get(Call& call);
    awaitable<result<Reply>> execution(Call& call);
    awaitable<result<Reply>> timeline(Call& call);
    awaitable<result<Reply>> tasks(Call& call);
    awaitable<result<Reply>> definitions(Call& call);
    awaitable<result<Reply>> definition(Call& call);
    class Viewer;
    awaitable<result<void>> follow(feed::Place place, Viewer& viewer, Stream& stream);

    Ports ports_;
    std::vector<Route> routes_;
};

} // namespace netbuild::http
