// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <boost/asio/any_completion_handler.hpp>
#include <boost/asio/any_io_executor.hpp>

#include "runtime/clock.hpp"
#include "wire/resp.hpp"

namespace netbuild {

/// A command as Redis reads it, and the slot of its keys.
struct RedisCommand {
    std::string bytes;
    /// Nothing: any server may be asked.
    std::optional<std::uint16_t> slot;

    /// `key` names the slot only: it stands among the words too.
    [[nodiscard]] static RedisCommand on(std::string_view key,
                                         std::initializer_list<std::string_view> words);
    [[nodiscard]] static RedisCommand on(std::string_view key,
                                         const std::vector<std::string_view>& words);
    [[nodiscard]] static RedisCommand anywhere(std::initializer_list<std::string_view> words);
};

/// A Lua script, called by its digest and sent whole to a server that does not know it (yet, or any
/// more: NOSCRIPT). One static object a script.
class RedisScript {
public:
    explicit RedisScript(std::string_view text);
    /// EVALSHA and EVAL. All keys lie in the slot of the first: use one hash tag.
    [[nodiscard]] RedisCommand by_digest(std::span<const std::string_view> keys,
                                         std::span<const std::string_view> arguments) const;
    [[nodiscard]] RedisCommand whole(std::span<const std::string_view> keys,
                                     std::span<const std::string_view> arguments) const;

    [[nodiscard]] std::string_view text() const { return text_; }

private:
    std::string_view text_;
    std::string digest_; // SHA-1, 40 hexadecimal digits
};

/// Redis, as the toolkit asks it: one server, or a Redis Cluster with one connection a master.
/// RESP3, TLS, ACL user; commands are pipelined, and what is sent between two turns of the executor
/// leaves in one write. Connections mend themselves, slots are followed (MOVED, ASK, a failover).
/// One executor, no locks.
///
/// What a command may fail with:
/// `unavailable`      nothing was executed: no connection, or the server refused it (LOADING,
///                    READONLY, CLUSTERDOWN, TRYAGAIN, NOREPLICAS: tried again until the time-out)
/// `outcome_unknown`  it was sent, and the connection was lost or no answer came in time
/// `out_of_memory`    OOM
/// `unauthorized`     NOAUTH, WRONGPASS, NOPERM
/// `unsupported`      WRONGTYPE: something else lies at the key
/// `invalid_argument` any other error of the server, with its words
class RedisClient {
public:
    using Reply = resp::Reply;
    struct Options {
        /// redis:// or rediss://, with user and password; of a cluster, any node.
        std::string url;
        std::string ca_file;
        /// Shows in CLIENT LIST.
        std::string name = "netbuild";
        /// From the call to the reply, waiting for a connection included.
        Clock::duration timeout = std::chrono::seconds(2);
        Clock::duration ping_interval = std::chrono::seconds(5);
        std::size_t queued_bytes_max = std::size_t{64} << 20;
        /// CLIENT TRACKING on every connection: what this client has read is told when it changes.
        bool tracking = false;
        /// A key that was read has changed; nothing: any may have (a connection was lost, a slot
        /// moved, the server has forgotten what it tracked).
        std::function<void(std::optional<std::string_view> key)> on_invalidated = {};
    };
    struct Counters {
        std::uint64_t commands = 0, redirections = 0, connections_lost = 0, timeouts = 0;
    };
    /// Called once, or destroyed with the client.
    using OnReply = asio::any_completion_handler<void(result<Reply>)>;

    RedisClient(asio::any_io_executor executor, Clock& clock, Options options);
    /// What still waits for a reply then is never told: stop() first, where something may.
    ~RedisClient();

    /// Begins to connect. invalid_configuration: the URL or the CA file.
    result<void> start();
    awaitable<void> stop();

    /// Errors of the server come as errors.
    awaitable<result<Reply>> execute(RedisCommand command);
    /// With another time-out: for commands that block. A blocking command holds up what comes after
    /// it on its connection: it needs a client of its own.
    awaitable<result<Reply>> execute(RedisCommand command, Clock::duration timeout);
    awaitable<result<Reply>> evaluate(const RedisScript& script, std::vector<std::string_view> keys,
                                      std::vector<std::string_view> arguments);
    /// Sent together: a reply each, in order; one of them may be an error, which fails none other.
    awaitable<std::vector<result<Reply>>> execute_all(std::vector<RedisCommand> commands);
    /// Without a coroutine: for what is called a hundred thousand times a second.
    void send(RedisCommand command, OnReply on_reply);
    void evaluate(const RedisScript& script, std::span<const std::string_view> keys,
                  std::span<const std::string_view> arguments, OnReply on_reply);
    /// The same command at every master (SCAN, SCRIPT FLUSH): fails with the first failure.
    awaitable<result<std::vector<Reply>>> execute_everywhere(RedisCommand command);

    /// Whether a command would find a connection now.
    [[nodiscard]] bool connected() const;
    [[nodiscard]] bool is_cluster() const;
    /// host:port, without secrets.
    [[nodiscard]] std::string address() const;
    [[nodiscard]] Counters counters() const;

private:
    class Impl;
    std::unique_ptr<Impl> impl_;
};

} // namespace netbuild
