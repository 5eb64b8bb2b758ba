// SPDX-License-Identifier: Apache-2.0
#include "redis_link.hpp"

#include <array>
#include <span>

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
        /// Empty: nobody waits (any more).
        OnReply on_reply;
        std::size_t replies = 1;
        std::optional<resp::Reply> error;
        Clock::duration sent_at{}, deadline = no_deadline;
    };

    State(asio::any_io_executor e, Clock& c, RedisAddress a, Options o, Events v)
        : executor(std::move(e)),
          clock(c),
          address(std::move(a)),
          options(std::move(o)),
          events(std::move(v)) {}

    asio::any_io_executor executor;
    Clock& clock;
    RedisAddress address;
    Options options;
    Events events;
    std::optional<asio::ssl::context> context;
    std::shared_ptr<Transport> transport;
    resp::Parser parser;
    std::deque<Awaited> awaited;
    std::size_t unwritten = 0; // of the awaited, those at the end whose bytes are in `queued`
    std::size_t expired = 0;   // of the awaited, those at the front that were given up
    std::string queued;
    bool writing = false;
    bool flush_posted = false;
    bool ready = false;
    bool greeting = false;    // connected, and the server has not taken all of greet() yet
    bool leaving = false;     // it ends when what was sent has been answered
    bool established = false; // on_ready was called, on_lost not yet
    bool closed = false;
    Clock::duration heard_at{};
    std::string trouble = "not connected yet";
    /// `trouble` says what ended this connection; what follows from that is not worth a word.
    bool named = false;

    /// A server that hangs while it is greeted (its machine still takes connections) or left.
    [[nodiscard]] bool overdue() const {
        return (greeting || leaving) && clock.monotonic() - heard_at >= options.connect_timeout;
    }

    void name_trouble(std::string why) {
        if (!std::exchange(named, true)) trouble = std::move(why);
    }

    /// RESP2's subscribers get what they ask for as messages.
    [[nodiscard]] bool subscribes() const { return events.on_push && !options.resp3; }

    void enqueue(std::string_view command, OnReply on_reply, std::size_t replies,
                 Clock::duration deadline) {
        queued += command;
        if (!on_reply && ready && subscribes()) return;
        awaited.push_back({std::move(on_reply), replies, {}, clock.monotonic(), deadline});
        ++unwritten;
    }

    result<void> make_context() {
        if (!address.tls || context) return {};
        context.emplace(asio::ssl::context::tls_client);
        boost::system::error_code ec;
        context->set_verify_mode(asio::ssl::verify_peer, ec);
        context->set_verify_callback(
            [this, names = asio::ssl::host_name_verification(address.host)](
                bool chain_is_good, asio::ssl::verify_context& verified) {
                const bool good = names(chain_is_good, verified);
                if (!chain_is_good) {
                    name_trouble(fmt::format("the server's certificate is not trusted: {}",
                                             X509_verify_cert_error_string(X509_STORE_CTX_get_error(
                                                 verified.native_handle()))));
                } else if (!good) {
                    name_trouble("the server's certificate is not for " + address.host);
                }
                return good;
            },
            ec);
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
                     Options options, Events events)
    : state_(std::make_unique<State>(std::move(executor), clock, std::move(address),
                                     std::move(options), std::move(events))) {}
RedisLink::~RedisLink() = default;

result<void> RedisLink::prepare() { return state_->make_context(); }
bool RedisLink::ready() const { return state_->ready; }
const RedisAddress& RedisLink::address() const { return state_->address; }
std::string RedisLink::trouble() const { return state_->trouble; }

void RedisLink::close() {
    state_->closed = true;
    if (state_->transport) state_->transport->close();
}

void RedisLink::abandon() {
    state_->events = {};
    // Whoever waits ends with the owner too.
    const auto unanswered = std::exchange(state_->awaited, {});
    state_->unwritten = state_->expired = 0;
    close();
}

void RedisLink::check(Clock::duration silence_max) {
    if (state_->overdue()) return reconnect("no answer to the greeting in time");
    if (!state_->ready || state_->clock.monotonic() - state_->heard_at < silence_max) return;
    reconnect("nothing came for too long");
}

void RedisLink::reconnect(std::string why) {
    State& state = *state_;
    if (!state.transport) return;
    state.name_trouble(std::move(why));
    state.ready = state.greeting = state.leaving = false;
    state.transport->close();
}

void RedisLink::leave(std::string why) {
    State& state = *state_;
    if (!state.ready) return;
    if (state.awaited.empty()) return reconnect(std::move(why));
    state.name_trouble(std::move(why));
    state.ready = false;
    state.leaving = true;
}

void RedisLink::expire() {
    State& state = *state_;
    const auto now = state.clock.monotonic();
    const auto self = shared_from_this();
    if (state.overdue()) return reconnect("no answer to the greeting in time");
    while (state.expired < state.awaited.size()) {
        auto& oldest = state.awaited[state.expired];
        if (oldest.deadline > now) return;
        ++state.expired;
        const bool silent = state.heard_at < oldest.sent_at;
        if (auto on_reply = std::exchange(oldest.on_reply, {}))
            std::move(on_reply)(
                fail(ErrorCode::outcome_unknown,
                     fmt::format(
                         "Redis {}: no answer within {} ms", state.address.text(),
                         std::chrono::duration_cast<std::chrono::milliseconds>(now - oldest.sent_at)
                             .count())));
        if (silent) return reconnect("no answer in time");
    }
}

bool RedisLink::send(std::string_view command, OnReply&& on_reply, std::size_t replies,
                     Clock::duration deadline) {
    State& state = *state_;
    if (!state.ready || state.queued.size() + command.size() > state.options.queued_bytes_max ||
        state.awaited.size() >= state.options.unanswered_max)
        return false;
    state.enqueue(command, std::move(on_reply), replies, deadline);
    if (!std::exchange(state.flush_posted, true))
        asio::post(state.executor, [link = shared_from_this()] { link->flush(); });
    return true;
}

void RedisLink::flush() {
    State& state = *state_;
    state.flush_posted = false;
    if (state.writing || state.queued.empty() || !state.transport) return;
    state.writing = true;
    state.unwritten = 0;
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
        return fail(ErrorCode::unavailable, fmt::format("{}: {}", step, ec.message()));
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
    const auto step = [&](std::span<const std::string_view> words, bool last) {
        std::string command;
        resp::append_command(command, words);
        enqueue(
            command,
            [weak = std::weak_ptr(link), last](result<resp::Reply> reply) {
                const auto self = weak.lock();
                if (!self || !reply) return;
                State& state = *self->state_;
                if (reply->is_error()) {
                    state.name_trouble(reply->text);
                    return state.transport->close();
                }
                if (!last) return;
                state.ready = state.established = true;
                state.greeting = false;
                state.trouble.clear();
                if (state.events.on_ready) state.events.on_ready();
            },
            1, no_deadline);
    };
    const std::string_view user = address.user.empty() ? "default" : std::string_view(address.user);
    std::vector<std::string_view> hello;
    if (options.resp3) {
        hello = {"HELLO", "3"};
        if (!address.password.empty()) hello.insert(hello.end(), {"AUTH", user, address.password});
    } else if (!address.password.empty()) {
        hello = {"AUTH", address.password};
        if (!address.user.empty()) hello.insert(hello.begin() + 1, user);
    }
    if (!hello.empty()) step(hello, false);
    const std::string database = std::to_string(address.database);
    if (address.database != 0) step(std::array<std::string_view, 2>{"SELECT", database}, false);
    const std::array<std::string_view, 3> name{"CLIENT", "SETNAME", options.name};
    step(name, options.setup.empty());
    if (!options.setup.empty()) {
        const std::vector<std::string_view> words(options.setup.begin(), options.setup.end());
        step(words, true);
    }
    link->flush();
}

void RedisLink::State::take(resp::Reply& reply) {
    if (closed) return;
    heard_at = clock.monotonic();
    if (reply.type == resp::Reply::Type::push) {
        if (events.on_push) events.on_push(reply);
        return;
    }
    if (awaited.empty()) {
        if (events.on_push) events.on_push(reply);
        return;
    }
    Awaited& front = awaited.front();
    if (reply.is_error() && !front.error) front.error = reply;
    if (--front.replies > 0) return;
    Awaited done = std::move(front);
    awaited.pop_front();
    if (expired > 0) --expired;
    if (unwritten > awaited.size()) unwritten = awaited.size();
    if (done.on_reply)
        std::move(done.on_reply)(done.error ? std::move(*done.error) : std::move(reply));
    if (leaving && awaited.empty() && transport) transport->close();
}

awaitable<result<void>> RedisLink::State::read() {
    const auto reading = transport;
    std::string chunk(read_bytes, '\0');
    while (true) {
        const auto [ec, size] =
            co_await reading->read_some(asio::buffer(chunk), asio::as_tuple(asio::use_awaitable));
        if (ec) co_return fail(ErrorCode::unavailable, ec.message());
        parser.feed(std::string_view(chunk).substr(0, size));
        while (true) {
            CO_TRY(auto reply, parser.next());
            if (!reply) break;
            take(*reply);
        }
    }
}

void RedisLink::State::lost() {
    ready = greeting = leaving = false;
    name_trouble("the connection was lost");
    if (transport) transport->close();
    transport.reset();
    queued.clear();
    writing = false;
    parser = {};
    std::size_t written = awaited.size() - std::exchange(unwritten, 0);
    expired = 0;
    for (Awaited& each : std::exchange(awaited, {})) {
        const bool sent = written > 0;
        if (sent) --written;
        if (!each.on_reply) continue;
        std::move(each.on_reply)(
            fail(sent ? ErrorCode::outcome_unknown : ErrorCode::unavailable,
                 fmt::format("Redis {}: the connection was lost", address.text())));
    }
    if (std::exchange(established, false) && events.on_lost) events.on_lost();
}

awaitable<result<void>> RedisLink::run() {
    using namespace asio::experimental::awaitable_operators;
    const auto self = shared_from_this();
    State& state = *state_;
    Clock::duration wait = state.options.reconnect_wait_first;
    while (!state.closed) {
        state.named = false;
        auto connected =
            co_await (state.connect() || state.clock.sleep(state.options.connect_timeout));
        result<void> outcome = fail(ErrorCode::deadline_exceeded, "connect: no answer in time");
        if (connected.index() == 0) outcome = std::get<0>(std::move(connected));
        if (state.closed) break;
        if (outcome) {
            state.heard_at = state.clock.monotonic();
            state.greeting = true;
            state.greet(self);
            outcome = co_await state.read();
            if (state.established) wait = state.options.reconnect_wait_first;
        }
        if (!outcome) state.name_trouble(outcome.error().detail());
        state.lost();
        if (state.closed) break;
        CO_TRY_VOID(co_await state.clock.sleep(wait));
        if (state.closed) break;
        wait = std::min(2 * wait, state.options.reconnect_wait_max);
    }
    co_return result<void>{};
}

} // namespace netbuild
