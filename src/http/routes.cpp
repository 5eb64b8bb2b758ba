// SPDX-License-Identifier: Apache-2.0
#include "http/routes.hpp"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include "base/position_header.hpp"
#include "openapi.hpp"
#include "problem.hpp"
#include "wire/json.hpp"
#include "wire/percent.hpp"

namespace netbuild::http {
namespace {

constexpr std::chrono::milliseconds wait_max{60'000};
constexpr std::size_t stream_page = 200;
/// A comment line this often keeps proxies from ending a silent stream.
constexpr std::chrono::seconds heartbeat{15};
/// At the start of the process.
constexpr std::chrono::seconds feed_wait{5};

result<std::vector<std::string>> split_path(std::string_view path) {
    std::vector<std::string> segments;
    while (!path.empty()) {
        path.remove_prefix(1); // the slash
        const auto slash = path.find('/');
        auto segment = percent_decode(path.substr(0, slash), false);
        if (!segment) return fail(ErrorCode::invalid_argument, "path: " + segment.error().detail());
        segments.push_back(std::move(*segment));
        path = slash == std::string_view::npos ? std::string_view{} : path.substr(slash);
    }
    return segments;
}

result<query::Freshness> freshness_of(const Request& request) {
    query::Freshness freshness;
    const std::string_view wanted = request.header("x-netbuild-min-position");
    if (wanted == "now") {
        freshness.kind = query::Freshness::Kind::now;
    } else if (!wanted.empty()) {
        auto position = parse_position_header(wanted);
        if (!position)
            return fail(ErrorCode::invalid_argument,
                        "X-NetBuild-Min-Position: must be now, a Position or engine=\"…\"");
        freshness.kind = query::Freshness::Kind::position;
        freshness.position = *position;
    }
    const std::string_view wait = request.header("x-netbuild-wait");
    if (!wait.empty()) {
        std::int64_t ms = 0;
        const auto [end, ec] = std::from_chars(wait.data(), wait.data() + wait.size(), ms);
        if (ec != std::errc{} || end != wait.data() + wait.size() || ms < 0 ||
            ms > wait_max.count()) {
            return fail(ErrorCode::invalid_argument,
                        fmt::format("X-NetBuild-Wait: must be 0 to {} ms", wait_max.count()));
        }
        freshness.wait = std::chrono::milliseconds(ms);
    }
    return freshness;
}

/// What belongs to the room, of what the caller may see. An empty room has all.
feed::Interest interest_in(std::string room, Scope scope) {
    feed::Interest interest;
    if (!room.empty()) interest.rooms.push_back(std::move(room));
    interest.admits = [scope = std::move(scope)](const feed::FeedEvent& event) {
        return scope.admits(event.event->domain_id);
    };
    return interest;
}

/// `id` is where a reader goes on after it, in both streams.
std::string sse(const StreamEvent& event, std::string_view source, std::string_view id) {
    // The payload is an object: type and source come first in it.
    std::string data = "{\"type\":";
    append_json_string(data, event.type);
    data += fmt::format(",\"source\":\"{}\"", source);
    if (event.payload.size() > 2) data += "," + event.payload.substr(1);
    return fmt::format("id: {}\nevent: {}\ndata: {}\n\n", id, event.type, data);
}

std::string_view query_parameter(const Request& request, std::string_view name) {
    for (const auto& [key, value] : request.query) {
        if (key == name) return value;
    }
    return {};
}

/// Last-Event-ID wins over `from`.
std::string_view stream_from(const Request& request) {
    const std::string_view last = request.header("last-event-id");
    return last.empty() ? query_parameter(request, "from") : last;
}

/// Where a stream starts; without one: only what comes.
result<feed::Place> stream_start(const Request& request, const feed::EventFeed& feed) {
    const std::string_view from = stream_from(request);
    if (from.empty()) return feed.place();
    auto place = feed::parse_place(from, feed.place().documents);
    if (!place)
        return fail(ErrorCode::invalid_argument, "from: must be a Position, such as 23803720-12");
    return *place;
}

awaitable<result<Reply>> at_once(Reply reply) { co_return reply; }

/// With what the limits say; they know Retry-After as the error does.
Response with(Headers headers, Response response) {
    for (auto& [name, value] : headers) {
        const bool there =
            std::any_of(response.headers.begin(), response.headers.end(),
                        [&, &wanted = name](const auto& each) { return each.first == wanted; });
        if (!there) response.headers.emplace_back(std::move(name), std::move(value));
    }
    return response;
}

} // namespace

/// A rule with what answers it; an endpoint that is not there yet answers `unsupported`.
struct Routes::Route {
    const Rule* rule;
    std::vector<std::string_view> segments;
    Endpoint endpoint;
};

Routes::Routes(Ports ports) : ports_(std::move(ports)) {
    for (const Rule& rule : rules()) {
        Route route{&rule, {}, nullptr};
        for (std::string_view left = rule.path; !left.empty();) {
            left.remove_prefix(1);
            const auto slash = left.find('/');
            route.segments.push_back(left.substr(0, slash));
            left = slash == std::string_view::npos ? std::string_view{} : left.substr(slash);
        }
        routes_.push_back(std::move(route));
    }
    add_plain();
    add_queries();
}
Routes::~Routes() = default;

void Routes::add(std::string_view method, std::string_view path, Endpoint endpoint) {
    for (Route& route : routes_) {
        if (route.rule->method != method || route.rule->path != path) continue;
        if (route.endpoint) throw_error(fail(ErrorCode::internal, "two endpoints"));
        route.endpoint = std::move(endpoint);
        return;
    }
    throw_error(fail(ErrorCode::internal, fmt::format("no rule for {} {}", method, path)));
}

void Routes::add_plain() {
    add("GET", "/healthz", [](Call&) { return at_once({.body = Object{{"status", "ok"}}}); });
    add("GET", "/readyz", [this](Call&) {
        const auto reasons = ports_.unready();
        Array list(reasons.begin(), reasons.end());
        return at_once({.status = reasons.empty() ? 200 : 503,
                        .body = Object{{"ready", reasons.empty()}, {"reasons", std::move(list)}}});
    });
    add("GET", "/metrics", [this](Call&) {
        return at_once(
            {.headers = {{"Content-Type", "text/plain; version=0.0.4"}}, .text = ports_.metrics()});
    });
    add("GET", "/openapi.json",
        [](Call&) { return at_once({.text = std::string(openapi_json())}); });
    add("GET", "/v1/sync", [this](Call&) {
        return at_once({.body = ports_.status(), .position = ports_.model.applied()});
    });
}

void Routes::add_queries() {
    add("GET", "/v1/executions", [this](Call& call) { return executions(call); });
    add("POST", "/v1/executions:batchGet", [this](Call& call) { return batch_get(call); });
    add("GET", "/v1/executions/{executionId}", [this](Call& call) { return execution(call); });
    add("GET", "/v1/executions/{executionId}/timeline",
        [this](Call& call) { return timeline(call); });
    add("GET", "/v1/tasks", [this](Call& call) { return tasks(call); });
    add("GET", "/v1/definitions", [this](Call& call) { return definitions(call); });
    add("GET", "/v1/definitions/{definitionId}", [this](Call& call) { return definition(call); });
}

result<const Routes::Route*>
Routes::find(const Request& request, std::map<std::string, std::string, std::less<>>& path) const {
    TRY(const auto segments, split_path(request.path));
    std::string_view other;
    for (const Route& route : routes_) {
        if (route.segments.size() != segments.size()) continue;
        std::map<std::string, std::string, std::less<>> variables;
        bool fits = true;
        for (std::size_t i = 0; fits && i < segments.size(); ++i) {
            const std::string_view wanted = route.segments[i];
            if (wanted.starts_with('{')) {
                const auto close = wanted.find('}');
                const std::string_view verb = wanted.substr(close + 1);
                fits = segments[i].size() > verb.size() && segments[i].ends_with(verb);
                if (fits)
                    variables.emplace(wanted.substr(1, close - 1),
                                      segments[i].substr(0, segments[i].size() - verb.size()));
            } else {
                fits = wanted == segments[i];
            }
        }
        if (!fits) continue;
        other = route.rule->method;
        if (other != request.method) continue;
        path = std::move(variables);
        return &route;
    }
    if (other.empty()) return fail(ErrorCode::not_found, "route " + request.path);
    return fail(ErrorCode::method_not_allowed, fmt::format("use {}", other));
}

awaitable<result<Caller>> Routes::authenticate(const Rule& rule, std::string authorization) {
    if (!ports_.authenticator) co_return Caller::anybody();
    if (rule.who == Who::anyone) co_return Caller{};
    CO_TRY(Caller caller, co_await ports_.authenticator->authenticate(std::move(authorization)));
    const bool everywhere = rule.domain == Domain::installation;
    const bool somewhere = rule.domain == Domain::list;
    const auto role = caller.role_in(every_domain);
    const bool enough = (everywhere && role && rank(*role) >= rank(rule.least)) ||
                        (somewhere && !caller.scope(rule.least).domains.empty());
    if ((everywhere || somewhere) && !enough)
        co_return fail(ErrorCode::forbidden,
                       fmt::format("{} and above{} may do this", role_name(rule.least),
                                   everywhere ? " of all domains" : ""));
    co_return caller;
}

awaitable<result<Caller>> Routes::admit(const Request& request, const Rule& rule,
                                        const RateLimits::Path& path, Headers& headers) {
    auto caller = co_await authenticate(rule, std::string(request.header("authorization")));
    // Who guesses tokens is limited by address, too.
    if (ports_.limits)
        CO_TRY_VOID(co_await ports_.limits->admit(request, rule, path, caller ? &*caller : nullptr,
                                                  headers));
    co_return caller;
}

awaitable<result<Reply>> Routes::answer(Request request, Headers& headers) {
    std::map<std::string, std::string, std::less<>> path;
    CO_TRY(const Route* route, find(request, path));
    if (!route->endpoint) co_return fail(ErrorCode::unsupported, "this server has no such service");
    CO_TRY(Caller caller, co_await admit(request, *route->rule, path, headers));
    Call call(std::move(request), *route->rule, std::move(caller));
    call.path = std::move(path);
    CO_TRY(Reply reply, co_await route->endpoint(call));
    const Domain domain = route->rule->domain;
    if ((domain == Domain::object || domain == Domain::list) && !call.scoped())
        co_return fail(ErrorCode::internal, "an answer without a look at its domain");
    co_return reply;
}

awaitable<Response> Routes::handle(Request request) {
    // Before the store is read: no later than what the answer shows.
    const Position documents =
        ports_.documents_published ? ports_.documents_published() : Position{};
    Headers headers;
    auto reply = co_await answer(std::move(request), headers);
    if (!reply) co_return with(std::move(headers), problem(reply.error()));
    Object* body = reply->body.get_if<Object>();
    if (Value* position = reply->position && body ? body->find("position") : nullptr;
        position && position->is<Object>() && !documents.is_zero())
        position->get_if<Object>()->set("documents", to_string(documents));
    Response response;
    response.status = reply->status;
    if (!reply->text.empty()) {
        response.body = std::move(reply->text);
    } else if (reply->status != 204 && reply->status != 304) {
        response.body = to_json(reply->body);
    }
    response.headers = std::move(headers);
    for (auto& [name, value] : reply->headers) {
        if (name == "Content-Type") {
            response.content_type = std::move(value);
        } else {
            response.headers.emplace_back(std::move(name), std::move(value));
        }
    }
    if (reply->position)
        response.headers.emplace_back("X-NetBuild-Position",
                                      documents.is_zero()
                                          ? position_header(*reply->position)
                                          : position_header(*reply->position, documents));
    co_return response;
}

namespace {

Reply reply_of(query::Answer answer) {
    return {.body = std::move(answer.body), .position = answer.position};
}

} // namespace

/// Waits until the read model, and the stream of NetBuild's own data, are as fresh as the request
/// wants them.
awaitable<result<void>> Routes::wait_for(const Call& call) {
    CO_TRY(const auto freshness, freshness_of(call.request));
    CO_TRY_VOID(co_await ports_.queries.wait(freshness));
    CO_TRY(const auto wanted,
           parse_documents_position(call.request.header("x-netbuild-min-position")));
    if (!wanted || wanted->is_zero()) co_return result<void>{};
    if (!ports_.documents)
        co_return fail(ErrorCode::unsupported, "X-NetBuild-Min-Position: documents: no capture");
    CO_TRY(const Position last, co_await ports_.documents->last());
    if (last >= *wanted) co_return result<void>{};
    const Position before = wanted->ordinal > 0
                                ? Position{wanted->number, wanted->ordinal - 1}
                                : Position{wanted->number - 1, Position::last_ordinal};
    CO_TRY(const auto events, co_await ports_.documents->read(before, 1, freshness.wait));
    if (events.empty())
        co_return fail(ErrorCode::not_yet_consistent,
                       fmt::format("wanted documents {}, the stream is at {}", to_string(*wanted),
                                   to_string(last)));
    co_return result<void>{};
}

awaitable<result<Reply>> Routes::executions(Call& call) {
    CO_TRY_VOID(co_await wait_for(call));
    CO_TRY(auto answer, co_await ports_.queries.executions(call.request.query, call.scope()));
    co_return reply_of(std::move(answer));
}

awaitable<result<Reply>> Routes::batch_get(Call& call) {
    CO_TRY_VOID(co_await wait_for(call));
    auto body = parse_json(call.request.body);
    if (!body) co_return fail(ErrorCode::invalid_argument, "body: " + body.error().detail());
    CO_TRY(auto answer, co_await ports_.queries.batch_get(std::move(*body), call.scope()));
    co_return reply_of(std::move(answer));
}

awaitable<result<Reply>> Routes::execution(Call& call) {
    CO_TRY_VOID(co_await wait_for(call));
    CO_TRY(auto answer, co_await ports_.queries.execution(call.segment("executionId"),
                                                          call.request.query, call.scope()));
    co_return reply_of(std::move(answer));
}

awaitable<result<Reply>> Routes::timeline(Call& call) {
    CO_TRY_VOID(co_await wait_for(call));
    CO_TRY(auto answer, co_await ports_.queries.timeline(call.segment("executionId"),
                                                         call.request.query, call.scope()));
    co_return reply_of(std::move(answer));
}

awaitable<result<Reply>> Routes::tasks(Call& call) {
    CO_TRY_VOID(co_await wait_for(call));
    CO_TRY(auto answer, co_await ports_.queries.tasks(call.request.query, call.scope()));
    co_return reply_of(std::move(answer));
}

awaitable<result<Reply>> Routes::definitions(Call& call) {
    CO_TRY_VOID(co_await wait_for(call));
    CO_TRY(auto answer, co_await ports_.queries.definitions(call.request.query, call.scope()));
    co_return reply_of(std::move(answer));
}

awaitable<result<Reply>> Routes::definition(Call& call) {
    CO_TRY_VOID(co_await wait_for(call));
    CO_TRY(auto answer,
           co_await ports_.queries.definition(call.segment("definitionId"), call.scope()));
    co_return reply_of(std::move(answer));
}

bool Routes::streams(const Request& request) const {
    return request.path == "/v1/events" && request.method == "GET";
}

awaitable<Response> Routes::stream_head(const Request& request) {
    std::map<std::string, std::string, std::less<>> path;
    const auto route = find(request, path);
    if (!route) co_return problem(route.error());
    Headers headers;
    const auto caller = co_await admit(request, *(*route)->rule, path, headers);
    if (!caller) co_return with(std::move(headers), problem(caller.error()));
    for (const auto& [name, value] : request.query) {
        if (name != "from" && name != "room")
            co_return problem(
                Error(ErrorCode::invalid_argument, name + ": there is no such parameter"));
    }
    if (!ports_.feed) co_return problem(Error(ErrorCode::unsupported, "this server has no events"));
    const auto started = co_await ports_.feed->started(feed_wait);
    if (!started) co_return problem(started.error());
    const auto start = stream_start(request, *ports_.feed);
    if (!start) co_return problem(start.error());
    const std::string_view room = query_parameter(request, "room");
    if (!room.empty() && !room.starts_with("domain:") && !room.starts_with("execution:")) {
        co_return problem(
            Error(ErrorCode::invalid_argument, "room: must be domain:ID or execution:ID"));
    }
    if (room.starts_with("domain:") &&
        !caller->scope((*route)->rule->least).admits(room.substr(room.find(':') + 1)))
        co_return problem(Error(ErrorCode::not_found, std::string(room)));
    Response head;
    head.content_type = "text/event-stream";
    head.headers = std::move(headers);
    co_return head;
}

/// Who follows a stream: what it may see, as long as it may.
class Routes::Viewer {
public:
    Viewer(Routes& routes, const Rule& rule, std::string authorization, std::string room)
        : routes_(routes),
          rule_(rule),
          authorization_(std::move(authorization)),
          room_(std::move(room)) {}

    /// unauthorized, forbidden, not_found: the stream has to end.
    awaitable<result<void>> look() {
        const Clock& clock = routes_.ports_.clock;
        auto caller = co_await routes_.authenticate(rule_, authorization_);
        const auto now = clock.monotonic();
        if (!caller && caller.error().error_class() == ErrorClass::transient) {
            next_look_ = now + look_retry; // what cannot be asked now is asked again
            co_return result<void>{};
        }
        if (!caller) co_return std::move(caller).error();
        next_look_ = now + routes_.ports_.recheck;
        if (caller->expires_s) {
            const std::chrono::microseconds left(*caller->expires_s * 1'000'000 - clock.utc_us());
            next_look_ = std::min<Clock::duration>(
                next_look_, now + std::max<Clock::duration>(left, look_pause));
        }
        scope_ = caller->scope(rule_.least);
        if (room_.starts_with("domain:") && !scope_.admits(room_.substr(room_.find(':') + 1)))
            co_return fail(ErrorCode::not_found, room_);
        co_return result<void>{};
    }
    [[nodiscard]] Clock::duration next_look() const noexcept { return next_look_; }
    [[nodiscard]] feed::Interest interest() const { return interest_in(room_, scope_); }

private:
    static constexpr std::chrono::seconds look_retry{10};
    /// Whatever the clocks say, one look does not follow another at once.
    static constexpr std::chrono::milliseconds look_pause{100};

    Routes& routes_;
    const Rule& rule_;
    std::string authorization_, room_;
    Scope scope_;
    Clock::duration next_look_{};
};

awaitable<void> Routes::stream(Request request, Stream& stream) {
    std::map<std::string, std::string, std::less<>> path;
    const auto route = find(request, path);
    const auto start = stream_start(request, *ports_.feed);
    if (!route || !start) co_return;
    Viewer viewer(*this, *(*route)->rule, std::string(request.header("authorization")),
                  std::string(query_parameter(request, "room")));
    if (!co_await viewer.look()) co_return;
    (void)co_await follow(*start, viewer, stream);
}

awaitable<result<void>> Routes::follow(feed::Place place, Viewer& viewer, Stream& stream) {
    feed::EventFeed& feed = *ports_.feed;
    feed::FeedReader reader(feed, place, viewer.interest());
    auto written = ports_.clock.monotonic();
    while (true) {
        if (viewer.next_look() <= ports_.clock.monotonic()) {
            if (const auto may = co_await viewer.look(); !may) {
                // A comment: what clients take for an event of theirs it is not.
                co_return co_await stream.write(
                    fmt::format(": closing, {}: {}\n\n", code_name(may.error().code()),
                                "the token is not good any more; resume with a new one"));
            }
            reader.change(viewer.interest());
        }
        std::vector<feed::Delivery> found;
        if (reader.in_ring()) {
            found = reader.newest(stream_page);
        } else {
            CO_TRY(found, co_await reader.older());
            if (found.empty()) continue;
        }
        std::string bytes;
        for (const auto& [event, after] : found)
            bytes += sse(*event->event, source_name(event->source), feed.text(after));
        if (bytes.empty()) {
            const auto now = ports_.clock.monotonic();
            const auto left = heartbeat - (now - written);
            if (left > Clock::duration::zero()) {
                CO_TRY_VOID(co_await feed.changed(
                    std::min<Clock::duration>(left, viewer.next_look() - now)));
                continue;
            }
            bytes = ": still here\n\n";
        }
        CO_TRY_VOID(co_await stream.write(std::move(bytes)));
        written = ports_.clock.monotonic();
    }
}

} // namespace netbuild::http
