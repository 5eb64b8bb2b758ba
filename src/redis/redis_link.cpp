// SPDX-License-Identifier: Apache-2.0
#include "redis_link.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

namespace netbuild {

using asio::ip::tcp;

namespace {

/// Plain or TLS, with one interface.
class Transport {
public:
    explicit Transport(const asio::any_io_executor& executor) : plain_(executor) {}
    Transport(const asio::any_io_executor& executor, asio::ssl::context& context)
        : plain_(executor) {
        tls_ = std::make_unique<asio::ssl::stream<tcp::socket&>>(plain_, context);
    }
    [[nodiscard]] tcp::socket& socket() { return plain_; }
    [[nodiscard]] asio::ssl::stream<tcp::socket&>* tls() { return tls_.get(); }

    template <class Handler>
    auto read_some(asio::mutable_buffer buffer, Handler&& handler) {
        return tls_ ? tls_->async_read_some(buffer, std::forward<Handler>(handler))
                    : plain_.async_read_some(buffer, std::forward<Handler>(handler));
    }
    template <class Handler>
    void write(asio::const_buffer buffer, Handler handler) {
        if (tls_) {
            asio::async_write(*tls_, buffer, std::move(handler));
        } else {
            asio::async_write(plain_, buffer, std::move(handler));
        }
    }
    void close() {
        boost::system::error_code ec;
        plain_.close(ec);
    }

private:
    tcp::socket plain_;
    std::unique_ptr<asio::ssl::stream<tcp::socket&>> tls_;
};

constexpr std::size_t read_bytes = 64 * 1024;

} // namespace

struct RedisLink::State {
    struct Awaited {
        OnReply on_reply;
        std::size_t replies = 1;
        std::optional<resp::Reply> error;
    };

    State(asio::any_io_executor e, Clock& c, RedisAddress a, Limits l, Events v)
        : executor(std::move(e)),
          clock(c),
          address(std::move(a)),
          limits(l),
          events(std::move(v)) {}

    asio::any_io_executor executor;
    Clock& clock;
    RedisAddress address;
    Limits limits;
    Events events;
    std::optional<asio::ssl::context> context;
    std::shared_ptr<Transport> transport;
    resp::Parser parser;
    std::deque<Awaited> awaited;
    std::string queued;
    bool writing = false;
    bool flush_posted = false;
    bool ready = false;
    bool closed = false;
    Clock::duration heard_at{};
    std::string trouble = "not connected yet";

    void enqueue(std::string_view command, OnReply on_reply, std::size_t replies) {
        queued += command;
        if (on_reply) awaited.push_back({std::move(on_reply), replies, {}});
    }

    result<void> make_context() {
        if (!address.tls || context) return {};
        context.emplace(asio::ssl::context::tls_client);
        boost::system::error_code ec;
        context->set_verify_mode(asio::ssl::verify_peer, ec);
        context->set_verify_callback(asio::ssl::host_name_verification(address.host), ec);
        if (address.ca_file.empty()) {
            context->set_default_verify_paths(ec);
        } else {
            context->load_verify_file(address.ca_file, ec);
        }
        if (!ec) return {};
        return fail(ErrorCode::invalid_configuration,
                    fmt::format("redis.ca_file {}: {}", address.ca_file, ec.message()));
    }

    awaitable<result<void>> connect();
    awaitable<result<void>> read();
    void greet(const std::shared_ptr<RedisLink>& link);
    void take(resp::Reply& reply);
    void lost();
};

RedisLink::RedisLink(asio::any_io_executor executor, Clock& clock, RedisAddress address,
                     Limits limits, Events events)
    : state_(std::make_unique<State>(std::move(executor), clock, std::move(address), limits,
                                     std::move(events))) {}
RedisLink::~RedisLink() = default;

bool RedisLink::ready() const { return state_->ready; }
const RedisAddress& RedisLink::address() const { return state_->address; }
std::string RedisLink::trouble() const { return state_->trouble; }

void RedisLink::close() {
    state_->closed = true;
    if (state_->transport) state_->transport->close();
}

void RedisLink::check(Clock::duration silence_max) {
    State& state = *state_;
    if (!state.ready || state.clock.monotonic() - state.heard_at < silence_max) return;
    state.trouble = "nothing came for too long";
    state.transport->close();
}

bool RedisLink::send(std::string_view command, OnReply on_reply, std::size_t replies) {
    State& state = *state_;
    if (!state.ready || state.queued.size() + command.size() > state.limits.queued_bytes_max ||
        state.awaited.size() >= state.limits.unanswered_max)
        return false;
    if (!on_reply && !state.events.on_push) on_reply = [](const result<resp::Reply>&) {};
    state.enqueue(command, std::move(on_reply), replies);
    if (!std::exchange(state.flush_posted, true))
        asio::post(state.executor, [link = shared_from_this()] { link->flush(); });
    return true;
}

void RedisLink::flush() {
    State& state = *state_;
    state.flush_posted = false;
    if (state.writing || state.queued.empty() || !state.transport) return;
    state.writing = true;
    const auto transport = state.transport;
    // The bytes belong to the operation: it may end after its connection was given up.
    const auto bytes = std::make_shared<std::string>(std::exchange(state.queued, {}));
    transport->write(asio::buffer(*bytes), [link = shared_from_this(), transport,
                                            bytes](boost::system::error_code ec, std::size_t) {
        if (transport != link->state_->transport) return;
        link->state_->writing = false;
        if (ec) return transport->close();
        link->flush();
    });
}

awaitable<result<void>> RedisLink::State::connect() {
    const auto because = [&](std::string_view step, const boost::system::error_code& ec) {
        return fail(ErrorCode::unavailable,
                    fmt::format("Redis {}: {}: {}", address.text(), step, ec.message()));
    };
    CO_TRY_VOID(make_context());
    const auto made = context ? std::make_shared<Transport>(executor, *context)
                              : std::make_shared<Transport>(executor);
    transport = made;
    tcp::resolver resolver(executor);
    auto [unresolved, endpoints] = co_await resolver.async_resolve(
        address.host, address.port, asio::as_tuple(asio::use_awaitable));
    if (unresolved) co_return because("resolve", unresolved);
    const auto [refused, endpoint] = co_await asio::async_connect(
        made->socket(), endpoints, asio::as_tuple(asio::use_awaitable));
    if (refused) co_return because("connect", refused);
    boost::system::error_code ec;
    made->socket().set_option(tcp::no_delay(true), ec);
    if (auto* tls = made->tls()) {
        SSL_set_tlsext_host_name(tls->native_handle(), address.host.c_str());
        const auto [failed] = co_await tls->async_handshake(asio::ssl::stream_base::client,
                                                            asio::as_tuple(asio::use_awaitable));
        if (failed) co_return because("TLS", failed);
    }
    co_return result<void>{};
}

/// Who we are, and which database; `ready` when the server has taken all of it.
void RedisLink::State::greet(const std::shared_ptr<RedisLink>& link) {
    const auto step = [&](const std::vector<std::string_view>& words, bool last, bool optional) {
        std::string command;
        resp::append_command(command, words);
        enqueue(
            command,
            [weak = std::weak_ptr(link), last, optional](result<resp::Reply> reply) {
                const auto self = weak.lock();
                if (!self || !reply) return;
                State& state = *self->state_;
                if (reply->is_error() && !optional) {
                    state.trouble = reply->text;
                    return state.transport->close();
                }
                if (!last) return;
                state.ready = true;
                state.trouble.clear();
                if (state.events.on_ready) state.events.on_ready();
            },
            1);
    };
    if (!address.password.empty()) {
        if (address.user.empty()) {
            step({"AUTH", address.password}, false, false);
        } else {
            step({"AUTH", address.user, address.password}, false, false);
        }
    }
    if (address.database != 0) step({"SELECT", std::to_string(address.database)}, false, false);
    step({"CLIENT", "SETNAME", "netbuild-cluster"}, true, true);
    link->flush();
}

void RedisLink::State::take(resp::Reply& reply) {
    heard_at = clock.monotonic();
    if (events.on_push && awaited.empty()) return events.on_push(reply);
    if (awaited.empty()) return;
    Awaited& front = awaited.front();
    if (reply.is_error() && !front.error) front.error = reply;
    if (--front.replies > 0) return;
    const Awaited done = std::move(front);
    awaited.pop_front();
    done.on_reply(done.error ? *done.error : std::move(reply));
}

awaitable<result<void>> RedisLink::State::read() {
    const auto reading = transport;
    std::string chunk(read_bytes, '\0');
    while (true) {
        const auto [ec, size] =
            co_await reading->read_some(asio::buffer(chunk), asio::as_tuple(asio::use_awaitable));
        if (ec)
            co_return fail(ErrorCode::unavailable,
                           fmt::format("Redis {}: {}", address.text(), ec.message()));
        parser.feed(std::string_view(chunk).substr(0, size));
        while (true) {
            CO_TRY(auto reply, parser.next());
            if (!reply) break;
            take(*reply);
        }
    }
}

void RedisLink::State::lost() {
    const bool was_ready = std::exchange(ready, false);
    transport->close();
    transport.reset();
    queued.clear();
    writing = false;
    parser = {};
    for (const Awaited& each : std::exchange(awaited, {}))
        each.on_reply(fail(ErrorCode::outcome_unknown,
                           fmt::format("Redis {}: the connection was lost", address.text())));
    if (was_ready && events.on_lost) events.on_lost();
}

awaitable<result<void>> RedisLink::run() {
    using namespace asio::experimental::awaitable_operators;
    const auto self = shared_from_this();
    State& state = *state_;
    Clock::duration wait = state.limits.reconnect_wait_first;
    while (!state.closed) {
        auto connected =
            co_await (state.connect() || state.clock.sleep(state.limits.connect_timeout));
        result<void> outcome = fail(ErrorCode::deadline_exceeded, "connect");
        if (connected.index() == 0) outcome = std::get<0>(std::move(connected));
        if (outcome) {
            state.heard_at = state.clock.monotonic();
            state.greet(self);
            outcome = co_await state.read();
            if (state.ready) wait = state.limits.reconnect_wait_first;
        }
        if (!outcome && (state.trouble.empty() || state.ready))
            state.trouble = outcome.error().detail();
        state.lost();
        if (state.closed) break;
        CO_TRY_VOID(co_await state.clock.sleep(wait));
        wait = std::min(2 * wait, state.limits.reconnect_wait_max);
    }
    co_return result<void>{};
}

} // namespace netbuild
