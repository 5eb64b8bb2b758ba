// SPDX-License-Identifier: Apache-2.0
#include "redis/redis_client.hpp"

#include <deque>

#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <openssl/evp.h>

#include "redis_nodes.hpp"
#include "runtime/signal.hpp"

namespace netbuild {

using resp::Reply;

namespace {

/// How often deadlines are looked at and refused commands are tried again: a time-out is late by
/// no more than that.
constexpr auto sweep_interval = std::chrono::milliseconds(10);

std::string sha1_hex(std::string_view text) {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned size = 0;
    EVP_Digest(text.data(), text.size(), digest.data(), &size, EVP_sha1(), nullptr);
    std::string hex;
    for (unsigned i = 0; i < size; ++i)
        hex += fmt::format("{:02x}", digest[i]);
    return hex;
}

std::string encoded(std::span<const std::string_view> words) {
    std::string bytes;
    std::size_t size = 16;
    for (const std::string_view word : words)
        size += word.size() + 16;
    bytes.reserve(size);
    resp::append_command(bytes, words);
    return bytes;
}

bool begins(std::string_view text, std::initializer_list<std::string_view> words) {
    return std::any_of(words.begin(), words.end(),
                       [&](std::string_view word) { return text.starts_with(word); });
}

/// Nothing was executed, and it may be in a moment.
bool passes(std::string_view error) {
    return begins(error, {"LOADING", "READONLY", "CLUSTERDOWN", "TRYAGAIN", "MASTERDOWN",
                          "NOREPLICAS", "MOVED", "ASK ", "BUSY "});
}

Error to_error(const std::string& address, std::string_view error) {
    const auto code = [&] {
        if (begins(error, {"OOM", "MISCONF"})) return ErrorCode::out_of_memory;
        if (begins(error, {"NOAUTH", "WRONGPASS", "NOPERM"})) return ErrorCode::unauthorized;
        if (begins(error, {"WRONGTYPE"})) return ErrorCode::unsupported;
        if (passes(error)) return ErrorCode::unavailable;
        return ErrorCode::invalid_argument;
    }();
    return fail(code, fmt::format("Redis {}: {}", address, error));
}

/// What a script's redis.call() failed with stands behind "ERR Error running script …: " in some
/// versions, and with the error's own word first in others; here its own word is first.
std::string_view own_words(std::string_view error) {
    for (const std::string_view word :
         {"OOM ", "WRONGTYPE ", "READONLY ", "MISCONF ", "NOREPLICAS "}) {
        if (error.starts_with("ERR ")) {
            if (const auto at = error.find(word); at != std::string_view::npos)
                return error.substr(at);
        }
    }
    return error;
}

} // namespace

RedisCommand RedisCommand::on(std::string_view key, std::initializer_list<std::string_view> words) {
    return {encoded(std::span(words.begin(), words.size())), resp::slot_of(key)};
}
RedisCommand RedisCommand::on(std::string_view key, const std::vector<std::string_view>& words) {
    return {encoded(words), resp::slot_of(key)};
}
RedisCommand RedisCommand::anywhere(std::initializer_list<std::string_view> words) {
    return {encoded(std::span(words.begin(), words.size())), std::nullopt};
}

RedisScript::RedisScript(std::string_view text) : text_(text), digest_(sha1_hex(text)) {}

namespace {

RedisCommand script_command(std::string_view name, std::string_view script,
                            std::span<const std::string_view> keys,
                            std::span<const std::string_view> arguments) {
    const std::string count = std::to_string(keys.size());
    std::vector<std::string_view> words{name, script, count};
    words.reserve(3 + keys.size() + arguments.size());
    words.insert(words.end(), keys.begin(), keys.end());
    words.insert(words.end(), arguments.begin(), arguments.end());
    RedisCommand command{encoded(words), {}};
    if (!keys.empty()) command.slot = resp::slot_of(keys.front());
    return command;
}

} // namespace

RedisCommand RedisScript::by_digest(std::span<const std::string_view> keys,
                                    std::span<const std::string_view> arguments) const {
    return script_command("EVALSHA", digest_, keys, arguments);
}
RedisCommand RedisScript::whole(std::span<const std::string_view> keys,
                                std::span<const std::string_view> arguments) const {
    return script_command("EVAL", text_, keys, arguments);
}

class RedisClient::Impl {
public:
    /// A command until it is answered.
    struct Pending {
        RedisCommand command;
        /// Of a script: what "EVALSHA digest" is replaced with where it is not known.
        const RedisScript* script = nullptr;
        OnReply on_reply;
        Clock::duration deadline{};
        /// Why it was not executed so far.
        std::optional<Error> refused;
    };
    using PendingPtr = std::shared_ptr<Pending>;

    Impl(asio::any_io_executor executor, Clock& clock, Options options)
        : executor_(executor),
          clock_(clock),
          options_(std::move(options)),
          nodes_(executor, clock,
                 {.url = options_.url,
                  .ca_file = options_.ca_file,
                  .link = {.name = options_.name,
                           .resp3 = true,
                           .setup = options_.tracking
                                        ? std::vector<std::string>{"CLIENT", "TRACKING", "ON"}
                                        : std::vector<std::string>{},
                           .queued_bytes_max = options_.queued_bytes_max},
                  .ping_interval = options_.ping_interval},
                 {.on_topology =
                      [this](bool changed) {
                          if (changed) forget_tracked();
                          send_waiting();
                      },
                  .on_ready = [this] { send_waiting(); },
                  .on_lost =
                      [this] {
                          ++counters_.connections_lost;
                          forget_tracked();
                      },
                  .on_push = [this](Reply& reply) { push(reply); }}),
          tasks_(executor, [](const std::string&, const Error&) {}) {}

    ~Impl() {
        *gone_ = true;
        tasks_.abandon();
    }

    result<void> start() {
        TRY_VOID(nodes_.start());
        tasks_.spawn("Redis deadlines", sweep());
        return {};
    }
    awaitable<void> stop() {
        options_.on_invalidated = {}; // its owner may be gone before the last connection is
        co_await tasks_.stop();
        co_await nodes_.stop();
        for (const PendingPtr& each : std::exchange(waiting_, {}))
            finish(*each, fail(ErrorCode::cancelled, "Redis"));
    }

    void send(PendingPtr pending) {
        ++counters_.commands;
        attempt(std::move(pending));
    }

    PendingPtr make(RedisCommand command, OnReply on_reply, Clock::duration timeout) {
        auto pending = std::make_shared<Pending>();
        pending->command = std::move(command);
        pending->on_reply = std::move(on_reply);
        pending->deadline = clock_.monotonic() + timeout;
        return pending;
    }

    void attempt(PendingPtr pending) {
        // Until it is known whether this is a cluster, a key's owner is not.
        if (nodes_.topology_known()) {
            const Pending& at = *pending;
            if (nodes_.execute(
                    at.command.slot, at.command.bytes,
                    [this, pending](result<Reply> reply) { answer(pending, std::move(reply)); }, 1,
                    at.deadline))
                return;
        }
        Error why = nodes_.unavailable(nodes_.link_for(pending->command.slot));
        wait(std::move(pending), std::move(why));
    }

    /// Sent again when a server is ready, or with the next sweep.
    void wait(PendingPtr pending, Error why) {
        if (waiting_bytes_ + pending->command.bytes.size() > options_.queued_bytes_max)
            return finish(*pending, std::move(why));
        pending->refused = std::move(why);
        waiting_bytes_ += pending->command.bytes.size();
        waiting_.push_back(std::move(pending));
    }

    void send_waiting() {
        waiting_bytes_ = 0;
        const auto now = clock_.monotonic();
        for (PendingPtr& each : std::exchange(waiting_, {})) {
            if (!each->on_reply) continue; // cancelled meanwhile
            if (each->deadline <= now) {
                ++counters_.timeouts;
                finish(*each, *each->refused);
            } else {
                attempt(std::move(each));
            }
        }
    }

    void answer(const PendingPtr& pending, result<Reply> reply) {
        if (!pending->on_reply) return;
        if (!reply) {
            if (reply.error().code() == ErrorCode::unavailable)
                return wait(pending, std::move(reply).error());
            if (pending->deadline <= clock_.monotonic()) ++counters_.timeouts;
            return finish(*pending, std::move(reply));
        }
        if (!reply->is_error()) return finish(*pending, std::move(reply));
        const std::string_view error = own_words(reply->text);
        if (error.starts_with("NOSCRIPT") && pending->script) {
            make_whole(pending->command, *pending->script);
            pending->script = nullptr;
            return attempt(pending);
        }
        Error failure = to_error(nodes_.seed().text(), error);
        if (!passes(error)) return finish(*pending, std::move(failure));
        if (error.starts_with("READONLY")) demoted(pending->command.slot);
        if (nodes_.topology().is_cluster()) nodes_.refresh();
        wait(pending, std::move(failure));
    }

    /// The server of this slot has become a replica: of one without a cluster the name may point to
    /// the new master by now.
    void demoted(std::optional<std::uint16_t> slot) {
        if (nodes_.topology().is_cluster()) return nodes_.refresh_now();
        if (const auto link = nodes_.link_for(slot)) link->leave("the server is a replica");
    }

    /// "EVALSHA digest rest" as "EVAL text rest".
    static void make_whole(RedisCommand& command, const RedisScript& script) {
        const std::string& bytes = command.bytes;
        // *N, $7, EVALSHA, $40, digest, then the rest.
        std::size_t rest = 0;
        for (int line = 0; line < 5; ++line)
            rest = bytes.find("\r\n", rest) + 2;
        std::string whole = bytes.substr(0, bytes.find("\r\n") + 2);
        whole += fmt::format("$4\r\nEVAL\r\n${}\r\n", script.text().size());
        whole += script.text();
        whole += "\r\n";
        whole += std::string_view(bytes).substr(rest);
        command.bytes = std::move(whole);
    }

    static void finish(Pending& pending, result<Reply> reply) {
        if (auto on_reply = std::exchange(pending.on_reply, {}))
            std::move(on_reply)(std::move(reply));
    }

    awaitable<result<void>> sweep() {
        const auto gone = gone_;
        while (true) {
            CO_TRY_VOID(co_await clock_.sleep(sweep_interval));
            if (*gone) co_return result<void>{};
            nodes_.expire();
            if (!waiting_.empty()) send_waiting();
        }
    }

    void push(Reply& reply) {
        if (reply.elements.size() < 2 || reply.elements[0].text != "invalidate") return;
        if (!options_.on_invalidated) return;
        if (reply.elements[1].type == Reply::Type::null) return options_.on_invalidated({});
        for (const Reply& key : reply.elements[1].elements)
            options_.on_invalidated(std::string_view(key.text));
    }
    void forget_tracked() {
        if (options_.tracking && options_.on_invalidated) options_.on_invalidated({});
    }

    awaitable<result<Reply>> execute(RedisCommand command, const RedisScript* script,
                                     Clock::duration timeout) {
        co_return co_await asio::async_initiate<decltype(asio::use_awaitable), void(result<Reply>)>(
            [this](auto handler, RedisCommand to_send, const RedisScript* its_script,
                   Clock::duration within) {
                auto slot = asio::get_associated_cancellation_slot(handler);
                auto pending = make(std::move(to_send), {}, within);
                pending->script = its_script;
                if (slot.is_connected()) {
                    slot.assign([this, weak = std::weak_ptr(pending)](asio::cancellation_type) {
                        const auto cancelled = weak.lock();
                        if (!cancelled || !cancelled->on_reply) return;
                        // Not from inside the one who cancels.
                        asio::post(executor_, [cancelled] {
                            finish(*cancelled, fail(ErrorCode::cancelled, "Redis"));
                        });
                    });
                }
                pending->on_reply = [handler = std::move(handler)](result<Reply> reply) mutable {
                    asio::get_associated_cancellation_slot(handler).clear();
                    std::move(handler)(std::move(reply));
                };
                send(std::move(pending));
            },
            asio::use_awaitable, std::move(command), script, timeout);
    }

    asio::any_io_executor executor_;
    Clock& clock_;
    Options options_;
    RedisNodes nodes_;
    std::deque<PendingPtr> waiting_;
    std::size_t waiting_bytes_ = 0;
    Counters counters_;
    std::shared_ptr<bool> gone_ = std::make_shared<bool>(false);
    TaskGroup tasks_;
};

RedisClient::RedisClient(asio::any_io_executor executor, Clock& clock, Options options)
    : impl_(std::make_unique<Impl>(std::move(executor), clock, std::move(options))) {}
RedisClient::~RedisClient() = default;

result<void> RedisClient::start() { return impl_->start(); }
awaitable<void> RedisClient::stop() { return impl_->stop(); }

awaitable<result<Reply>> RedisClient::execute(RedisCommand command) {
    return impl_->execute(std::move(command), nullptr, impl_->options_.timeout);
}
awaitable<result<Reply>> RedisClient::execute(RedisCommand command, Clock::duration timeout) {
    return impl_->execute(std::move(command), nullptr, timeout);
}
awaitable<result<Reply>> RedisClient::evaluate(const RedisScript& script,
                                               std::vector<std::string_view> keys,
                                               std::vector<std::string_view> arguments) {
    return impl_->execute(script.by_digest(keys, arguments), &script, impl_->options_.timeout);
}

awaitable<std::vector<result<Reply>>> RedisClient::execute_all(std::vector<RedisCommand> commands) {
    struct Gathered {
        explicit Gathered(const asio::any_io_executor& executor) : done(executor) {}
        std::vector<std::optional<result<Reply>>> replies;
        std::size_t missing = 0;
        Signal done;
    };
    const auto gathered = std::make_shared<Gathered>(impl_->executor_);
    gathered->replies.resize(commands.size());
    gathered->missing = commands.size();
    for (std::size_t i = 0; i < commands.size(); ++i) {
        send(std::move(commands[i]), [gathered, i](result<Reply> reply) {
            gathered->replies[i].emplace(std::move(reply));
            if (--gathered->missing == 0) gathered->done.notify_all();
        });
    }
    std::vector<result<Reply>> replies;
    while (gathered->missing > 0) {
        if (const auto waited = co_await gathered->done.wait(); !waited) break;
    }
    for (auto& reply : gathered->replies) {
        replies.push_back(reply ? std::move(*reply)
                                : result<Reply>(fail(ErrorCode::cancelled, "Redis")));
    }
    co_return replies;
}

void RedisClient::send(RedisCommand command, OnReply on_reply) {
    impl_->send(impl_->make(std::move(command), std::move(on_reply), impl_->options_.timeout));
}
void RedisClient::evaluate(const RedisScript& script, std::span<const std::string_view> keys,
                           std::span<const std::string_view> arguments, OnReply on_reply) {
    auto pending = impl_->make(script.by_digest(keys, arguments), std::move(on_reply),
                               impl_->options_.timeout);
    pending->script = &script;
    impl_->send(std::move(pending));
}

awaitable<result<std::vector<Reply>>> RedisClient::execute_everywhere(RedisCommand command) {
    auto masters = impl_->nodes_.topology().masters();
    std::vector<Reply> replies;
    if (masters.empty()) {
        CO_TRY(Reply reply, co_await execute(std::move(command)));
        replies.push_back(std::move(reply));
        co_return replies;
    }
    // Any slot of a master leads to it.
    for (const std::string& master : masters) {
        RedisCommand to_master = command;
        to_master.slot = impl_->nodes_.topology().slot_of_master(master);
        CO_TRY(Reply reply, co_await execute(std::move(to_master)));
        replies.push_back(std::move(reply));
    }
    co_return replies;
}

bool RedisClient::connected() const {
    const auto link = impl_->nodes_.link_for(std::nullopt);
    return impl_->nodes_.topology_known() && link && link->ready();
}
bool RedisClient::is_cluster() const { return impl_->nodes_.topology().is_cluster(); }
std::string RedisClient::address() const { return impl_->nodes_.seed().text(); }
RedisClient::Counters RedisClient::counters() const {
    Counters counters = impl_->counters_;
    counters.redirections = impl_->nodes_.redirections();
    return counters;
}

} // namespace netbuild
