// SPDX-License-Identifier: Apache-2.0
// A node of a cluster without a browser: adapters on a real Redis, sockets that are names. It does
// what it reads, one JSON object a line, and writes what its sockets get.
//   cluster_test_node ADAPTER REDIS_URL MODE SPECIFIC RECOVERY_MS
#include <iostream>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "app/realtime_cluster.hpp"
#include "fake_namespace.hpp"
#include "runtime/task_group.hpp"
#include "wire/json.hpp"

namespace {

using namespace netbuild;
using namespace netbuild::realtime;

void say(const Object& line) { std::cout << to_json(line) << std::endl; }

std::vector<std::string> names(const Object& request, std::string_view key) {
    std::vector<std::string> found;
    if (const Value* value = request.find(key))
        for (const Value& each : *value->get_if<Array>())
            found.emplace_back(each.string_or());
    return found;
}

Array to_array(const std::vector<std::string>& texts) { return {texts.begin(), texts.end()}; }

template <class T>
Value item(const T& value) {
    if constexpr (std::is_same_v<T, Value>) {
        return value;
    } else {
        return Object{{"id", value.id},
                      {"rooms", to_array(value.rooms)},
                      {"data", value.data},
                      {"handshake", value.handshake}};
    }
}

template <class T>
Object outcome(const result<ClusterAnswer<T>>& answer) {
    if (!answer) return {{"ok", false}, {"error", answer.error().message()}};
    Array items;
    for (const T& each : answer->items)
        items.push_back(item(each));
    Object line{{"ok", !answer->timed_out}, {"value", std::move(items)}};
    if (answer->timed_out) line.set("missing", to_array(answer->missing));
    return line;
}

struct Node {
    test::FakeNamespace local{"/"};
    std::unique_ptr<Adapter> adapter;

    awaitable<Object> carry_out(Object request) {
        const std::string op(request.find("op")->string_or());
        Audience audience{.rooms = names(request, "rooms"), .except = names(request, "except")};
        if (const Value* timeout = request.find("timeout"))
            audience.flags.timeout = std::chrono::milliseconds(timeout->integer_or());
        Array args;
        if (const Value* given = request.find("args")) args = *given->get_if<Array>();
        if (request.contains("binary")) args.emplace_back(Binary{std::string("\x01\x02\xff", 3)});
        socketio::Packet packet{.nsp = "/", .data = args};
        if (op == "emit") adapter->broadcast(packet, audience);
        if (op == "emitWithAck")
            co_return outcome(co_await adapter->broadcast_with_ack(packet, audience));
        if (op == "fetchSockets") co_return outcome(co_await adapter->fetch_sockets(audience));
        if (op == "socketsJoin") adapter->join(audience, names(request, "names"));
        if (op == "socketsLeave") adapter->leave(audience, names(request, "names"));
        if (op == "disconnectSockets") adapter->disconnect(audience, request.contains("close"));
        if (op == "serverSideEmit") adapter->server_side_emit(args);
        if (op == "serverSideEmitWithAck")
            co_return outcome(co_await adapter->server_side_emit_with_ack(args));
        if (op == "serverCount") {
            const auto count = co_await adapter->server_count();
            if (!count) co_return Object{{"ok", false}, {"error", count.error().message()}};
            co_return Object{{"ok", true}, {"value", static_cast<std::int64_t>(*count)}};
        }
        if (op == "allRooms") {
            const auto rooms = co_await adapter->all_rooms();
            if (!rooms) co_return Object{{"ok", false}, {"error", rooms.error().message()}};
            co_return Object{{"ok", true}, {"value", to_array(*rooms)}};
        }
        if (op == "add") {
            const auto rooms = names(request, "names");
            local.add(std::string(request.find("sid")->string_or()), {rooms.begin(), rooms.end()},
                      Object{{"user", request.find("sid")->string_or()}});
        }
        if (op == "save")
            adapter->save_session(
                {.sid = "s1", .pid = "p1", .rooms = {"s1", "r1"}, .data = Object{{"user", "u"}}});
        if (op == "restore") {
            const auto found =
                co_await adapter->restore_session(std::string(request.find("pid")->string_or()),
                                                  std::string(request.find("offset")->string_or()));
            if (!found) co_return Object{{"ok", false}, {"error", "not known"}};
            Array missed(found->missed.begin(), found->missed.end());
            co_return Object{{"ok", true},
                             {"value", Object{{"sid", found->session.sid},
                                              {"rooms", to_array(found->session.rooms)},
                                              {"data", found->session.data},
                                              {"missed", std::move(missed)}}}};
        }
        co_return Object{{"ok", true}, {"value", Value()}};
    }
};

awaitable<result<void>> one(Node& node, Object request) {
    Object answer = co_await node.carry_out(request);
    answer.set("id", *request.find("id"));
    say(answer);
    co_return result<void>{};
}

awaitable<void> serve(asio::io_context& context, app::RealtimeCluster& cluster, Node& node,
                      TaskGroup& tasks) {
    if (const auto started = co_await node.adapter->start(); !started) {
        std::cerr << started.error().message() << std::endl;
        co_return context.stop();
    }
    say({{"started", true}});
    asio::posix::stream_descriptor input(context, dup(0));
    std::string buffer;
    while (true) {
        const auto [ec, size] = co_await asio::async_read_until(
            input, asio::dynamic_buffer(buffer), '\n', asio::as_tuple(asio::use_awaitable));
        if (ec) break;
        const auto request = parse_json(std::string_view(buffer).substr(0, size - 1));
        buffer.erase(0, size);
        if (!request) continue;
        tasks.spawn("request", one(node, *request->get_if<Object>()));
    }
    co_await node.adapter->stop();
    co_await cluster.stop();
    context.stop();
}

} // namespace

int main(int, char** argv) {
    asio::io_context context(1);
    SystemClock clock;
    app::RealtimeClusterOptions options{.redis_url = argv[2],
                                        .static_channels = std::string_view(argv[3]) == "static",
                                        .specific_response_channel =
                                            std::string_view(argv[4]) == "1",
                                        .recovery = std::chrono::milliseconds(std::stoi(argv[5]))};
    options.adapter = app::parse_realtime_adapter(argv[1]).value();
    app::RealtimeCluster cluster(context.get_executor(), clock, options);
    if (const auto started = cluster.start(); !started) {
        std::cerr << started.error().message() << std::endl;
        return 1;
    }
    Node node;
    node.local.on_delivery = [](const std::string& sid, const Array& data) {
        say({{"got", sid}, {"data", data}});
    };
    node.local.on_question = [](const std::string& sid, const Array& data, auto on_ack) {
        if (sid.starts_with("mute")) return;
        on_ack({Value("answer of " + sid + " to " + std::string(data.at(1).string_or()))});
    };
    node.local.on_disconnect = [](const std::string& sid, bool close) {
        say({{"disconnected", sid}, {"close", close}});
    };
    node.local.on_server_side_event = [](const Array& args, auto answer) {
        say({{"server", args}});
        if (answer) answer(Value("hi-from-ours"));
    };
    node.adapter = cluster.factory()(node.local);
    node.local.on_room = [&](const std::string& room, bool opened) {
        if (opened) {
            node.adapter->room_opened(room);
        } else {
            node.adapter->room_closed(room);
        }
    };
    TaskGroup tasks(context.get_executor(), [](const std::string&, const Error& error) {
        std::cerr << error.message() << std::endl;
    });
    asio::co_spawn(context, serve(context, cluster, node, tasks), [](std::exception_ptr e) {
        if (e) std::rethrow_exception(e);
    });
    context.run();
    _exit(0); // what still waits for an answer has nobody to give it to
}
