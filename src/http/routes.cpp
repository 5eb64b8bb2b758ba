// SPDX-License-Identifier: Apache-2.0
#include "http/routes.hpp"

#include <charconv>

#include <fmt/format.h>

#include "http/position_header.hpp"
#include "openapi.hpp"
#include "ports/stored_events.hpp"
#include "problem.hpp"
#include "wire/json.hpp"

namespace netbuild::http {
namespace {

constexpr std::chrono::milliseconds wait_max{60'000};
constexpr std::size_t stream_page = 200;
/// A comment line this often keeps proxies from ending a silent stream.
constexpr std::chrono::seconds heartbeat{15};

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

Response json_response(const Value& body) {
    Response response;
    response.body = to_json(body);
    return response;
}

/// "domain:acme": does the event belong to it? An empty room has all.
bool in_room(const std::string& room, const StreamEvent& event) {
    if (room.empty() || event.type == gap_event_type) return true; // what is missing, nobody knows
    const auto colon = room.find(':');
    const std::string_view kind = std::string_view(room).substr(0, colon);
    const std::string_view id = std::string_view(room).substr(colon + 1);
    return (kind == "domain" && id == event.domain_id) ||
           (kind == "execution" && id == event.execution_id);
}

std::string sse(const StreamEvent& event) {
    // The payload is an object: type and source come first in it.
    std::string data = "{\"type\":";
    append_json_string(data, event.type);
    data += ",\"source\":\"engine\"";
    if (event.payload.size() > 2) data += "," + event.payload.substr(1);
    return fmt::format("id: {}\nevent: {}\ndata: {}\n\n", position_header(event.position),
                       event.type, data);
}

std::string_view query_parameter(const Request& request, std::string_view name) {
    for (const auto& [key, value] : request.query) {
        if (key == name) return value;
    }
    return {};
}

/// The Position that a stream starts after: Last-Event-ID wins over `from`. nullopt: only what
/// comes.
result<std::optional<Position>> stream_start(const Request& request) {
    std::string_view from = request.header("last-event-id");
    if (from.empty()) from = query_parameter(request, "from");
    if (from.empty()) return std::optional<Position>();
    auto position = parse_position_header(from);
    if (!position)
        return fail(ErrorCode::invalid_argument, "from: must be a Position, such as 23803720-12");
    return std::optional(*position);
}

} // namespace

Routes::Routes(Ports ports) : ports_(std::move(ports)) {}
Routes::~Routes() = default;

awaitable<Response> Routes::plain(const Request& request, bool& found) {
    found = true;
    if (request.path == "/healthz") co_return json_response(Object{{"status", "ok"}});
    if (request.path == "/readyz") {
        const auto reasons = ports_.unready();
        Array list;
        for (const std::string& reason : reasons)
            list.emplace_back(reason);
        Response response =
            json_response(Object{{"ready", reasons.empty()}, {"reasons", std::move(list)}});
        response.status = reasons.empty() ? 200 : 503;
        co_return response;
    }
    if (request.path == "/metrics") {
        Response response;
        response.content_type = "text/plain; version=0.0.4";
        response.body = ports_.metrics();
        co_return response;
    }
    if (request.path == "/openapi.json") {
        Response response;
        response.body = openapi_json();
        co_return response;
    }
    if (request.path == "/v1/sync") {
        Response response = json_response(ports_.status());
        response.headers.emplace_back("X-NetBuild-Position",
                                      position_header(ports_.model.applied()));
        co_return response;
    }
    found = false;
    co_return Response{};
}

awaitable<Response> Routes::handle(Request request) {
    if (request.method == "GET") {
        bool found = false;
        Response response = co_await plain(request, found);
        if (found) co_return response;
    }
    auto segments = split_path(request.path);
    if (!segments) co_return problem(segments.error());
    auto freshness = freshness_of(request);
    if (!freshness) co_return problem(freshness.error());
    if (segments->empty() || segments->front() != "v1") {
        co_return problem(Error(ErrorCode::not_found, "route " + request.path));
    }
    if (auto waited = co_await ports_.queries.wait(*freshness); !waited)
        co_return problem(waited.error());
    auto answered = co_await answer(request, std::move(*segments));
    if (!answered) co_return problem(answered.error());
    Response response = json_response(answered->body);
    response.headers.emplace_back("X-NetBuild-Position", position_header(answered->position));
    co_return response;
}

awaitable<result<query::Answer>> Routes::answer(const Request& request,
                                                std::vector<std::string> segments) {
    using Result = result<query::Answer>;
    const std::string name = segments.size() > 1 ? segments[1] : std::string();
    if (name == "executions:batchGet" && segments.size() == 2) {
        if (request.method != "POST")
            co_return Result(fail(ErrorCode::method_not_allowed, "use POST"));
        auto body = parse_json(request.body);
        if (!body)
            co_return Result(fail(ErrorCode::invalid_argument, "body: " + body.error().detail()));
        co_return co_await ports_.queries.batch_get(std::move(*body));
    }
    const bool known = (segments.size() == 2 &&
                        (name == "executions" || name == "tasks" || name == "definitions")) ||
                       (segments.size() == 3 && (name == "executions" || name == "definitions")) ||
                       (segments.size() == 4 && name == "executions" && segments[3] == "timeline");
    if (!known) co_return Result(fail(ErrorCode::not_found, "route " + request.path));
    if (request.method != "GET") co_return Result(fail(ErrorCode::method_not_allowed, "use GET"));
    if (segments.size() == 4)
        co_return co_await ports_.queries.timeline(std::move(segments[2]), request.query);
    if (segments.size() == 3) {
        if (name == "executions")
            co_return co_await ports_.queries.execution(std::move(segments[2]), request.query);
        co_return co_await ports_.queries.definition(std::move(segments[2]));
    }
    if (name == "executions") co_return co_await ports_.queries.executions(request.query);
    if (name == "tasks") co_return co_await ports_.queries.tasks(request.query);
    co_return co_await ports_.queries.definitions(request.query);
}

bool Routes::streams(const Request& request) const {
    return request.path == "/v1/events" && request.method == "GET";
}

awaitable<Response> Routes::stream_head(const Request& request) {
    for (const auto& [name, value] : request.query) {
        if (name != "from" && name != "room")
            co_return problem(
                Error(ErrorCode::invalid_argument, name + ": there is no such parameter"));
    }
    const auto start = stream_start(request);
    if (!start) co_return problem(start.error());
    const std::string_view room = query_parameter(request, "room");
    if (!room.empty() && !room.starts_with("domain:") && !room.starts_with("execution:")) {
        co_return problem(
            Error(ErrorCode::invalid_argument, "room: must be domain:ID or execution:ID"));
    }
    Response head;
    head.content_type = "text/event-stream";
    co_return head;
}

awaitable<void> Routes::stream(Request request, Stream& stream) {
    const auto start = stream_start(request);
    Position after;
    if (start && *start) {
        after = **start;
        if (!co_await tell_removed(after, stream)) co_return;
    } else if (auto last = co_await ports_.bus.last()) {
        after = *last;
    }
    (void)co_await follow(after, std::string(query_parameter(request, "room")), stream);
}

/// A reader that resumes from before the oldest event that is kept is told so.
awaitable<result<void>> Routes::tell_removed(Position& after, Stream& stream) {
    CO_TRY(const Position removed_upto, co_await ports_.queries.event_horizon());
    if (after >= removed_upto) co_return result<void>{};
    CO_TRY_VOID(co_await stream.write(sse(*gap_event(after, removed_upto, "retention"))));
    after = removed_upto;
    co_return result<void>{};
}

/// What the event stream does not hold any more is read from the store.
awaitable<result<Position>> Routes::catch_up(Position after, const std::string& room,
                                             Stream& stream) {
    while (true) {
        CO_TRY(const Position first, co_await ports_.bus.first());
        if (first.is_zero() || after >= first || after.number + 1 >= first.number) co_return after;
        CO_TRY(const auto documents, co_await ports_.queries.stored_events(after, stream_page));
        Position newest = after;
        for (const ValuePtr& document : documents) {
            for (const auto& event : stream_events(*document)) {
                if (event->position <= after) continue;
                newest = std::max(newest, event->position);
                if (event->position >= first) continue;
                if (in_room(room, *event)) CO_TRY_VOID(co_await stream.write(sse(*event)));
            }
        }
        if (newest == after || newest >= first)
            co_return std::max(after, Position{first.number - 1, Position::last_ordinal});
        after = newest;
    }
}

awaitable<result<void>> Routes::follow(Position after, std::string room, Stream& stream) {
    CO_TRY(after, co_await catch_up(after, room, stream));
    while (true) {
        CO_TRY(const auto events, co_await ports_.bus.read(after, stream_page, heartbeat));
        if (events.empty()) {
            CO_TRY_VOID(co_await stream.write(": still here\n\n"));
            continue;
        }
        std::string bytes;
        for (const StreamEventPtr& event : events) {
            if (in_room(room, *event)) bytes += sse(*event);
            after = event->position;
        }
        if (!bytes.empty()) CO_TRY_VOID(co_await stream.write(std::move(bytes)));
    }
}

} // namespace netbuild::http
