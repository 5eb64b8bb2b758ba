// SPDX-License-Identifier: Apache-2.0
// The bare Socket.IO server with the handlers that the official suites, the bench and the tests of
// a mixed cluster expect: what they measure and compare is the product's own server.
#include "command.hpp"

#include <csignal>
#include <cstdio>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "app/realtime_cluster.hpp"
#include "realtime/recovering_adapter.hpp"
#include "realtime/server.hpp"

namespace netbuild::cli {
namespace {

using realtime::Audience;
using realtime::Event;
using realtime::Namespace;
using realtime::Reply;
using realtime::Server;
using realtime::Socket;
using socketio::Packet;
using socketio::PacketType;

struct Options {
    std::uint16_t port = 0;
    std::string host = "127.0.0.1";
    std::string redis;
    std::string adapter = "none";
    int ping_interval_ms = 25000, ping_timeout_ms = 20000, connect_timeout_ms = 45000;
    std::size_t payload_bytes_max = 1'000'000;
    int recovery_ms = 0;
    bool raw_engineio = false;
    std::string subscription_mode = "dynamic";
    bool specific_response_channel = false;
    std::uint32_t events_a_second_max = 10'000'000;
    std::size_t queued_bytes_max = 4 * 1024 * 1024;
    std::size_t connections_max = 100'000;
};

constexpr int delay_max_ms = 600'000;

std::vector<std::string> texts(const Value* list) {
    std::vector<std::string> out;
    if (const auto* array = list ? list->get_if<Array>() : nullptr)
        for (const auto& each : *array)
            if (each.is<std::string>()) out.emplace_back(each.string_or());
    return out;
}

Array values(const std::vector<std::string>& list) {
    Array out;
    for (const auto& each : list)
        out.emplace_back(each);
    return out;
}

bool truth(const Value* value) { return value && *value == Value(true); }

const std::string* text_at(const Event& event, std::size_t index) {
    return index < event.arguments.size() ? event.arguments[index].get_if<std::string>() : nullptr;
}

Audience audience_of(const Object& request) {
    Audience audience;
    audience.rooms = texts(request.find("rooms"));
    audience.except = texts(request.find("except"));
    const Value* flags_value = request.find("flags");
    if (const auto* flags = flags_value ? flags_value->get_if<Object>() : nullptr) {
        audience.flags.is_volatile = truth(flags->find("volatile"));
        audience.flags.local = truth(flags->find("local"));
        if (const auto* compress = flags->find("compress"))
            audience.flags.compress = *compress != Value(false);
        if (const auto* timeout = flags->find("timeout"); timeout && timeout->integer_or(-1) >= 0)
            audience.flags.timeout = std::chrono::milliseconds(
                std::min<std::int64_t>(timeout->integer_or(), delay_max_ms));
    }
    return audience;
}

Value described(const realtime::SocketDescription& socket) {
    return Object{{"id", socket.id},
                  {"rooms", values(socket.rooms)},
                  {"data", socket.data},
                  {"handshake", socket.handshake}};
}

Value done(Value value) { return Object{{"ok", true}, {"value", std::move(value)}}; }
Value failed(std::string error) { return Object{{"ok", false}, {"error", std::move(error)}}; }

/// What came in time, and who did not answer.
template <class T, class Convert>
Value answered(const result<realtime::ClusterAnswer<T>>& answer, Convert convert) {
    if (!answer) return failed(answer.error().message());
    Array items;
    for (const auto& item : answer->items)
        items.push_back(convert(item));
    if (!answer->timed_out) return done(std::move(items));
    return Object{{"ok", false},
                  {"error", "timeout"},
                  {"value", std::move(items)},
                  {"missing", values(answer->missing)}};
}

Value same(const Value& value) { return value; }

class Testbed {
public:
    Testbed(Server& server, std::string port) : server_(server), port_(std::move(port)) {
        for (const auto* name : {"/", "/custom", "/admin", "/guarded"})
            prepare(server_.of(name));
        server_.of("/guarded").use([](const std::shared_ptr<Socket>& socket, Namespace::Next next) {
            const auto* token = socket->auth().at_path("token");
            if (token && *token == Value("good")) return next(std::nullopt);
            next(realtime::ConnectError{"unauthorized",
                                        Object{{"code", "E_AUTH"}, {"hint", "token"}}});
        });
    }
    void set_port(std::uint16_t port) { port_ = std::to_string(port); }

private:
    using SocketPointer = std::shared_ptr<Socket>;

    void prepare(Namespace& nsp) {
        nsp.on_connection(
            [](const SocketPointer& socket) { socket->emit({"auth", socket->auth()}); });
        nsp.on_disconnecting([&nsp](Socket& socket, std::string_view reason) {
            Audience watchers;
            watchers.rooms = {"watch"};
            watchers.except = {socket.id()};
            nsp.broadcast({PacketType::event,
                           nsp.name(),
                           {},
                           Array{"left", socket.id(), reason, values(socket.rooms())}},
                          watchers);
        });
        nsp.on_server_event(
            "hello", [this, &nsp](Array arguments, const Namespace::Answer& answer) {
                arguments.insert(arguments.begin(), "hello");
                nsp.broadcast({PacketType::event, nsp.name(), {}, std::move(arguments)}, {});
                if (answer) answer("hi-from-" + port_);
            });
        echoes(nsp);
        rooms(nsp);
        nsp.on("delay", [this](const SocketPointer&, Event event) {
            if (event.arguments.empty()) return;
            const auto time =
                std::clamp<std::int64_t>(event.arguments[0].integer_or(), 0, delay_max_ms);
            Value value = event.arguments.size() > 1 ? event.arguments[1] : Value();
            static_cast<void>(server_.call_after(
                std::chrono::milliseconds(time),
                [reply = std::move(event.reply), value = std::move(value)]() mutable {
                    reply({std::move(value)});
                }));
        });
        nsp.on("data", [](const SocketPointer& socket, Event event) {
            if (event.arguments.empty()) return;
            socket->data = std::move(event.arguments[0]);
            event.reply({"ok"});
        });
        nsp.on("bye", [](const SocketPointer& socket, const Event& event) {
            socket->disconnect(!event.arguments.empty() && truth(&event.arguments[0]));
        });
        nsp.on("call", [this, &nsp](const SocketPointer&, Event event) {
            if (event.arguments.empty()) return;
            server_.spawn("call", call(nsp, std::move(event.arguments[0]), std::move(event.reply)));
        });
    }

    void echoes(Namespace& nsp) {
        nsp.on("message", [](const SocketPointer& socket, Event event) {
            event.arguments.insert(event.arguments.begin(), "message-back");
            socket->emit(std::move(event.arguments));
        });
        nsp.on("message-with-ack",
               [](const SocketPointer&, Event event) { event.reply(std::move(event.arguments)); });
        nsp.on("echo", [](const SocketPointer&, Event event) {
            if (!event.arguments.empty()) event.reply({std::move(event.arguments[0])});
        });
    }

    void rooms(Namespace& nsp) {
        nsp.on("join", [](const SocketPointer& socket, Event event) {
            const auto* room = text_at(event, 0);
            if (!room) return;
            const auto joined = socket->join(*room);
            event.reply({joined ? Value("ok") : Value(joined.error().message())});
        });
        nsp.on("leave", [](const SocketPointer& socket, Event event) {
            const auto* room = text_at(event, 0);
            if (!room) return;
            socket->leave(*room);
            event.reply({"ok"});
        });
        nsp.on("rooms", [](const SocketPointer& socket, Event event) {
            event.reply({Value(values(socket->rooms()))});
        });
        nsp.on("pub", [&nsp](const SocketPointer&, Event event) {
            const auto* room = text_at(event, 0);
            if (!room || event.arguments.size() < 2) return;
            Audience audience;
            audience.rooms = {*room};
            nsp.emit(std::move(audience), {"m", std::move(event.arguments[1])});
        });
        nsp.on("fetch", [this, &nsp](const SocketPointer&, Event event) {
            const auto* room = text_at(event, 0);
            if (room) server_.spawn("fetch", fetch(nsp, *room, std::move(event.reply)));
        });
    }

    static awaitable<result<void>> fetch(Namespace& nsp, std::string room, Reply reply) {
        Audience audience;
        audience.rooms = {std::move(room)};
        const auto found = co_await nsp.adapter().fetch_sockets(std::move(audience));
        reply({found ? Value(static_cast<std::int64_t>(found->items.size())) : Value()});
        co_return result<void>{};
    }

    awaitable<result<void>> call(Namespace& callers, Value request, Reply reply) {
        const auto* object = request.get_if<Object>();
        if (!object) co_return result<void>{};
        Namespace* nsp = &callers;
        if (const Value* name = object->find("nsp"); name && !name->is_null()) {
            nsp = nullptr;
            for (const auto* known : {"/", "/custom", "/admin", "/guarded"})
                if (name->string_or() == known) nsp = &server_.of(known);
        }
        if (!nsp) {
            reply({failed("no such namespace")});
            co_return result<void>{};
        }
        reply({co_await answer(*nsp, *object)});
        co_return result<void>{};
    }

    static awaitable<Value> answer(Namespace& nsp, Object request) {
        const Value* op_value = request.find("op");
        const std::string op(op_value ? op_value->string_or() : std::string_view{});
        const Value* list = request.find("args");
        const Array args = list && list->is<Array>() ? *list->get_if<Array>() : Array{};
        const auto names = texts(list);
        Audience audience = audience_of(request);
        auto& adapter = nsp.adapter();
        const bool event = !args.empty() && args.front().is<std::string>();
        if ((op == "emit" || op == "emitWithAck" || op == "serverSideEmit" ||
             op == "serverSideEmitWithAck") &&
            !event)
            co_return failed("args: [event, …]");
        if (op == "emit") {
            nsp.emit(std::move(audience), args);
        } else if (op == "emitWithAck") {
            co_return answered(co_await adapter.broadcast_with_ack(
                                   {PacketType::event, nsp.name(), {}, args}, std::move(audience)),
                               same);
        } else if (op == "fetchSockets") {
            co_return answered(co_await adapter.fetch_sockets(std::move(audience)), described);
        } else if (op == "socketsJoin") {
            adapter.join(std::move(audience), names);
        } else if (op == "socketsLeave") {
            adapter.leave(std::move(audience), names);
        } else if (op == "disconnectSockets") {
            adapter.disconnect(std::move(audience), truth(request.find("close")));
        } else if (op == "serverSideEmit") {
            adapter.server_side_emit(args);
        } else if (op == "serverSideEmitWithAck") {
            co_return answered(co_await adapter.server_side_emit_with_ack(args), same);
        } else if (op == "serverCount") {
            const auto count = co_await adapter.server_count();
            co_return count ? done(static_cast<std::int64_t>(*count))
                            : failed(count.error().message());
        } else if (op == "allRooms") {
            const auto all = co_await adapter.all_rooms();
            co_return all ? done(values(*all)) : failed(all.error().message());
        } else {
            co_return failed("no such op");
        }
        co_return done({});
    }

    Server& server_;
    std::string port_;
};

realtime::EngineOptions engine_options(const Options& options) {
    realtime::EngineOptions engine;
    engine.path = options.raw_engineio ? "/engine.io/" : "/socket.io/";
    engine.ping_interval = std::chrono::milliseconds(options.ping_interval_ms);
    engine.ping_timeout = std::chrono::milliseconds(options.ping_timeout_ms);
    engine.payload_bytes_max = options.payload_bytes_max;
    engine.queued_bytes_max = options.queued_bytes_max;
    engine.connections_max = options.connections_max;
    engine.origins = {"*"};
    return engine;
}

app::RealtimeClusterOptions cluster_options(const Options& options, app::RealtimeAdapter adapter) {
    return {.adapter = adapter,
            .redis_url = options.redis,
            .static_channels = options.subscription_mode == "static",
            .specific_response_channel = options.specific_response_channel,
            .recovery = std::chrono::milliseconds(options.recovery_ms)};
}

realtime::AdapterFactory adapter_factory(const Options& options, app::RealtimeCluster& cluster,
                                         app::RealtimeAdapter adapter, Clock& clock) {
    if (adapter != app::RealtimeAdapter::none) return cluster.factory();
    if (options.recovery_ms == 0) return realtime::AdapterFactory{};
    realtime::RecoveryOptions recovery;
    recovery.disconnection_max = std::chrono::milliseconds(options.recovery_ms);
    return realtime::AdapterFactory([&clock, recovery](realtime::LocalNamespace& local) {
        return realtime::recovering_adapter(local, clock, recovery);
    });
}

void say_ready(const Options& options, std::uint16_t port) {
    fmt::print("listening on http://{}:{}\n", options.host, port);
    std::fflush(stdout);
}

awaitable<void> until_told(asio::any_io_executor executor) {
    asio::signal_set signals(executor, SIGINT, SIGTERM);
    co_await signals.async_wait(asio::as_tuple(asio::use_awaitable));
}

awaitable<result<void>> serve_engine(Options options, Clock& clock) {
    const auto executor = co_await asio::this_coro::executor;
    realtime::Engine engine(executor, clock, engine_options(options), realtime::echo_sessions());
    CO_TRY_VOID(engine.listen(options.host, options.port));
    say_ready(options, engine.port());
    co_await until_told(executor);
    co_return result<void>{};
}

/// The server is gone, and with it its adapters, when this returns.
awaitable<result<void>> serve_sockets(Options options, Clock& clock,
                                      realtime::ServerOptions settings) {
    const auto executor = co_await asio::this_coro::executor;
    Server server(executor, clock, std::move(settings));
    Testbed testbed(server, std::to_string(options.port));
    CO_TRY_VOID(co_await server.start());
    CO_TRY_VOID(server.listen(options.host, options.port));
    testbed.set_port(server.port());
    say_ready(options, server.port());
    co_await until_told(executor);
    co_await server.stop(std::chrono::milliseconds(500));
    co_return result<void>{};
}

awaitable<result<void>> serve(Options options, Clock& clock) {
    if (options.raw_engineio) co_return co_await serve_engine(std::move(options), clock);
    const auto executor = co_await asio::this_coro::executor;
    realtime::ServerOptions settings;
    settings.engine = engine_options(options);
    settings.connect_timeout = std::chrono::milliseconds(options.connect_timeout_ms);
    settings.events_a_second_max = options.events_a_second_max;
    settings.rooms_a_socket_max = 100'000;
    CO_TRY(const auto adapter, app::parse_realtime_adapter(options.adapter));
    app::RealtimeCluster cluster(executor, clock, cluster_options(options, adapter));
    CO_TRY_VOID(cluster.start());
    if (adapter == app::RealtimeAdapter::sharded)
        fmt::print(stderr, "sharded, subscription mode {}: all nodes of a cluster have the same\n",
                   options.subscription_mode);
    settings.adapter = adapter_factory(options, cluster, adapter, clock);
    auto served = co_await serve_sockets(options, clock, std::move(settings));
    co_await cluster.stop();
    co_return served;
}

result<void> run_testbed(const Options& options) {
    asio::io_context context(1);
    SystemClock clock;
    std::optional<result<void>> outcome;
    asio::co_spawn(context, serve(options, clock),
                   [&](const std::exception_ptr& escaped, result<void> ended) {
                       if (escaped) std::rethrow_exception(escaped);
                       outcome.emplace(std::move(ended));
                   });
    while (!outcome && context.run_one() > 0) {
    }
    context.poll(); // what ended with it
    return outcome ? std::move(*outcome)
                   : result<void>(fail(ErrorCode::internal, "the event loop ran dry"));
}

} // namespace

void add_realtime_testbed(Registry registry) {
    auto options = std::make_shared<Options>();
    CLI::App* command =
        registry.add("realtime-testbed", "a bare Socket.IO server with handlers for tests");
    const CLI::Range times(1, 86'400'000);
    command->add_option("--port", options->port, "0: one that is free")->required();
    command->add_option("--host", options->host)->capture_default_str();
    command->add_option("--redis", options->redis, "such as redis://127.0.0.1:6379");
    command->add_option("--adapter", options->adapter)
        ->check(CLI::IsMember({"none", "redis", "sharded", "streams"}))
        ->capture_default_str();
    command->add_option("--ping-interval", options->ping_interval_ms, "ms")->check(times);
    command->add_option("--ping-timeout", options->ping_timeout_ms, "ms")->check(times);
    command->add_option("--connect-timeout", options->connect_timeout_ms, "ms")->check(times);
    command->add_option("--max-payload", options->payload_bytes_max, "bytes");
    command->add_option("--recovery", options->recovery_ms, "ms that a client may be away");
    command->add_flag("--raw-engineio", options->raw_engineio, "echo at /engine.io/");
    command->add_option("--subscription-mode", options->subscription_mode, "of sharded")
        ->check(CLI::IsMember({"static", "dynamic"}));
    command->add_flag("--specific-response-channel", options->specific_response_channel,
                      "of redis");
    command->add_option("--events-per-second", options->events_a_second_max, "of one client");
    command->add_option("--max-queued", options->queued_bytes_max, "bytes queued for one client");
    command->add_option("--max-connections", options->connections_max);
    command->callback([registry, options] {
        registry.chosen = [options]() -> result<void> { return run_testbed(*options); };
    });
}

} // namespace netbuild::cli
