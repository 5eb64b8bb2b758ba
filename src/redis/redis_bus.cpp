// SPDX-License-Identifier: Apache-2.0
#include "redis/redis_bus.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/redis/connection.hpp>

#include <fmt/format.h>

#include "redis_address.hpp"
#include "runtime/signal.hpp"

namespace netbuild {

namespace redis = boost::redis;

namespace {

/// KEYS[1] the stream; ARGV: the last entry that the stream must have at least, the newest event
/// that was published before, then id, type, domainId, executionId, processInstanceId, payload for
/// each event. Ids are compared as text, for a Lua number holds 53 bits. It stops at the first
/// failure (out of memory), so that a retry finds no hole; it returns the last entry's id. Where
/// entries were deleted the stream still refuses ids up to its last generated one: it is set back,
/// or begun anew where the server does not let it.
constexpr std::string_view append_script = R"lua(
local function parts(id)
  local dash = string.find(id, '-', 1, true)
  return string.sub(id, 1, dash - 1), string.sub(id, dash + 1)
end
local function greater(a, b)
  if #a ~= #b then return #a > #b end
  return a > b
end
local function after(id, last)
  local an, ao = parts(id)
  local bn, bo = parts(last)
  if an ~= bn then return greater(an, bn) end
  return greater(ao, bo)
end
local last, generated = '0-0', '0-0'
local info = redis.pcall('XINFO', 'STREAM', KEYS[1])
if not info.err then
  for i = 1, #info, 2 do
    if info[i] == 'last-generated-id' then generated = info[i + 1] end
    if info[i] == 'last-entry' and info[i + 1] then last = info[i + 1][1] end
  end
end
if after(ARGV[1], last) then return last end
for i = 3, #ARGV, 6 do
  if after(ARGV[i], last) then
    if not after(ARGV[i], generated) then
      local set = redis.pcall('XSETID', KEYS[1], last)
      if type(set) == 'table' and set.err then
        redis.call('DEL', KEYS[1])
        return '0-0'
      end
      generated = last
    end
    local added = redis.pcall('XADD', KEYS[1], ARGV[i], 'type', ARGV[i + 1], 'domainId', ARGV[i + 2],
      'executionId', ARGV[i + 3], 'processInstanceId', ARGV[i + 4], 'payload', ARGV[i + 5])
    if type(added) == 'table' and added.err then return last end
    last = ARGV[i]
    if after(ARGV[i], ARGV[2]) then redis.pcall('PUBLISH', ARGV[i + 1], ARGV[i + 5]) end
  end
end
return last
)lua";

redis::config config_of(const RedisAddress& address) {
    redis::config config;
    config.use_ssl = address.tls;
    config.addr.host = address.host;
    config.addr.port = address.port;
    if (!address.user.empty()) config.username = address.user;
    config.password = address.password;
    if (address.database != 0) config.database_index = address.database;
    config.clientname = "netbuild";
    config.health_check_interval = std::chrono::seconds(5);
    config.reconnect_wait_interval = std::chrono::milliseconds(200);
    config.connect_timeout = std::chrono::seconds(2);
    return config;
}

/// Why there is no connection. The connection mends itself and gives no reason to who waits for it;
/// its log does, and so does the check of the certificate.
class Trouble {
public:
    /// A line of the connection's log.
    void take(std::string_view line) {
        if (line.starts_with("Setup request execution: success")) {
            last_.clear();
            certificate_.clear();
        } else if (line.starts_with("Failed") || line.starts_with("Error") ||
                   line.starts_with("Setup request execution")) {
            last_ = line;
        }
    }
    void certificate(std::string why) { certificate_ = std::move(why); }
    [[nodiscard]] bool refused() const {
        return last_.find("WRONGPASS") != std::string::npos ||
               last_.find("NOAUTH") != std::string::npos ||
               last_.find("NOPERM") != std::string::npos;
    }
    /// " (why)", or empty.
    [[nodiscard]] std::string text() const {
        if (!certificate_.empty()) return fmt::format(" ({})", certificate_);
        return last_.empty() ? last_ : fmt::format(" ({})", last_);
    }

private:
    std::string last_, certificate_;
};

/// Verifies the chain and, beyond what OpenSSL does by itself, that the certificate is the host's.
class VerifyServer {
public:
    VerifyServer(const std::string& host, std::shared_ptr<Trouble> trouble)
        : host_(host), names_(host), trouble_(std::move(trouble)) {}
    bool operator()(bool chain_is_good, asio::ssl::verify_context& context) const {
        const bool good = names_(chain_is_good, context);
        if (!chain_is_good) {
            trouble_->certificate(fmt::format(
                "the server's certificate is not trusted: {}",
                X509_verify_cert_error_string(X509_STORE_CTX_get_error(context.native_handle()))));
        } else if (!good) {
            trouble_->certificate("the server's certificate is not for " + host_);
        }
        return good;
    }

private:
    std::string host_;
    asio::ssl::host_name_verification names_;
    std::shared_ptr<Trouble> trouble_;
};

using Nodes = std::vector<redis::resp3::node>;

/// The fields of one stream entry: nodes are flat, with their depth.
StreamEventPtr to_event(const std::string& id,
                        const std::vector<std::pair<std::string, std::string>>& fields) {
    auto event = std::make_shared<StreamEvent>();
    const auto position = parse_position(id);
    if (!position) return nullptr;
    event->position = *position;
    for (const auto& [name, value] : fields) {
        if (name == "type") event->type = value;
        if (name == "domainId") event->domain_id = value;
        if (name == "executionId") event->execution_id = value;
        if (name == "processInstanceId") event->process_instance_id = value;
        if (name == "payload") event->payload = value;
    }
    return event;
}

/// XRANGE: [ [id, [field, value, …]], … ].
std::vector<StreamEventPtr> to_events(const Nodes& nodes) {
    std::vector<StreamEventPtr> events;
    std::string id;
    std::vector<std::pair<std::string, std::string>> fields;
    std::vector<std::string> texts;
    const auto finish = [&] {
        for (std::size_t i = 0; i + 1 < texts.size(); i += 2)
            fields.emplace_back(texts[i], texts[i + 1]);
        if (!id.empty()) {
            if (auto event = to_event(id, fields)) events.push_back(std::move(event));
        }
        id.clear();
        fields.clear();
        texts.clear();
    };
    for (const auto& node : nodes) {
        if (node.depth == 1) finish(); // the next entry begins
        if (node.depth == 2 && id.empty() && !redis::resp3::is_aggregate(node.data_type))
            id = node.value;
        if (node.depth == 3) texts.push_back(node.value);
    }
    finish();
    return events;
}

} // namespace

class RedisBus::Impl {
public:
    Impl(asio::any_io_executor executor, Clock& clock, Options options)
        : clock_(clock), options_(std::move(options)), appended_(executor) {
        const auto address = parse_redis_url(options_.url, options_.ca_file);
        if (!address) {
            configuration_error_ = address.error();
            return;
        }
        address_ = address->text();
        asio::ssl::context tls(asio::ssl::context::tls_client);
        if (address->tls) {
            boost::system::error_code ec;
            tls.set_verify_mode(asio::ssl::verify_peer, ec);
            tls.set_verify_callback(VerifyServer(address->host, trouble_), ec);
            if (options_.ca_file.empty()) {
                tls.set_default_verify_paths(ec);
            } else {
                tls.load_verify_file(options_.ca_file, ec);
            }
            if (ec) {
                configuration_error_ =
                    fail(ErrorCode::invalid_configuration,
                         fmt::format("redis.ca_file {}: {}", options_.ca_file, ec.message()));
                return;
            }
        }
        connection_ = std::make_shared<redis::connection>(
            executor, std::move(tls),
            redis::logger(redis::logger::level::info,
                          [trouble = trouble_](redis::logger::level, std::string_view line) {
                              trouble->take(line);
                          }));
        // Reconnects until it is cancelled; the handler keeps it alive until then.
        connection_->async_run(config_of(*address),
                               [connection = connection_](boost::system::error_code) {});
    }
    ~Impl() {
        if (connection_) connection_->cancel();
    }

    [[nodiscard]] Error away(std::string_view why) const {
        return fail(ErrorCode::unavailable, fmt::format("Redis {}: {}", address_, why));
    }

    /// With the reason that the connection itself has found.
    [[nodiscard]] Error no_connection(std::string_view what) const {
        if (!trouble_->refused()) return away(fmt::format("{}{}", what, trouble_->text()));
        return fail(ErrorCode::unauthorized, fmt::format("Redis {}{}", address_, trouble_->text()));
    }

    template <class Answer>
    awaitable<result<Answer>> execute(redis::request request) {
        using namespace asio::experimental::awaitable_operators;
        if (configuration_error_) co_return *configuration_error_;
        // The answer outlives a time-out, for Redis may still be writing into it.
        auto response = std::make_shared<redis::response<Answer>>();
        auto shared_request = std::make_shared<redis::request>(std::move(request));
        auto first = co_await (connection_->async_exec(*shared_request, *response,
                                                       asio::as_tuple(asio::use_awaitable)) ||
                               clock_.sleep(options_.timeout));
        if (first.index() == 1) {
            CO_TRY_VOID(std::get<1>(std::move(first)));
            co_return no_connection(fmt::format(
                "no answer within {} ms",
                std::chrono::duration_cast<std::chrono::milliseconds>(options_.timeout).count()));
        }
        const auto ec = std::get<0>(std::get<0>(first));
        if (ec == asio::error::operation_aborted) {
            const auto state = co_await asio::this_coro::cancellation_state;
            if (state.cancelled() != asio::cancellation_type::none)
                co_return fail(ErrorCode::cancelled, "Redis");
        }
        if (ec) co_return no_connection(ec.message());
        auto& answer = std::get<0>(*response);
        if (answer.has_error()) {
            const std::string& diagnostic = answer.error().diagnostic;
            if (diagnostic.starts_with("OOM"))
                co_return fail(ErrorCode::out_of_memory, "Redis " + address_);
            if (diagnostic.starts_with("NOAUTH") || diagnostic.starts_with("WRONGPASS") ||
                diagnostic.starts_with("NOPERM"))
                co_return fail(ErrorCode::unauthorized,
                               fmt::format("Redis {}: {}", address_, diagnostic));
            if (diagnostic.starts_with("NOSCRIPT")) co_return fail(ErrorCode::not_found, "script");
            co_return away(diagnostic);
        }
        co_return std::move(answer).value();
    }

    static redis::request make() {
        redis::request request;
        request.get_config().cancel_on_connection_lost = true;
        return request;
    }

    awaitable<result<Position>> append(std::vector<StreamEventPtr> events, AppendTerms terms) {
        std::vector<std::string> arguments{std::string(append_script), "1", options_.stream,
                                           to_string(terms.last), to_string(terms.announced)};
        arguments.reserve(arguments.size() + 6 * events.size());
        for (const StreamEventPtr& event : events) {
            arguments.push_back(to_string(event->position));
            arguments.push_back(event->type);
            arguments.push_back(event->domain_id);
            arguments.push_back(event->execution_id);
            arguments.push_back(event->process_instance_id);
            arguments.push_back(event->payload);
        }
        if (!digest_.empty()) arguments.front() = digest_;
        redis::request request = make();
        request.push_range(digest_.empty() ? "EVAL" : "EVALSHA", arguments.begin(),
                           arguments.end());
        auto last = co_await execute<std::string>(std::move(request));
        if (!last && last.error().code() ==
                         ErrorCode::not_found) { // Redis was restarted or flushed its scripts
            digest_.clear();
            co_return co_await append(std::move(events), terms);
        }
        if (!last) co_return std::move(last).error();
        if (digest_.empty()) {
            redis::request load = make();
            load.push("SCRIPT", "LOAD", append_script);
            if (auto digest = co_await execute<std::string>(std::move(load))) digest_ = *digest;
        }
        appended_.notify_all();
        co_return parse_position(*last);
    }

    /// The id that XREVRANGE or XRANGE gives first; zero if there is none.
    awaitable<result<Position>> edge(std::string_view command, std::string_view from,
                                     std::string_view to) {
        redis::request request = make();
        request.push(command, options_.stream, from, to, "COUNT", "1");
        CO_TRY(const Nodes nodes, co_await execute<Nodes>(std::move(request)));
        const auto events = to_events(nodes);
        co_return events.empty() ? Position{} : events.front()->position;
    }

    awaitable<result<std::vector<StreamEventPtr>>> read(Position after, std::size_t count,
                                                        Clock::duration wait) {
        const Deadline deadline(clock_, wait);
        while (true) {
            redis::request request = make();
            request.push("XRANGE", options_.stream, "(" + to_string(after), "+", "COUNT",
                         std::to_string(count));
            CO_TRY(const Nodes nodes, co_await execute<Nodes>(std::move(request)));
            auto events = to_events(nodes);
            if (!events.empty() || deadline.passed(clock_)) co_return events;
            CO_TRY_VOID(co_await appended_.wait_for(
                clock_, std::min(options_.poll_interval, deadline.left(clock_))));
        }
    }

    Clock& clock_;
    Options options_;
    Signal appended_;
    std::optional<Error> configuration_error_;
    std::shared_ptr<Trouble> trouble_ = std::make_shared<Trouble>();
    std::shared_ptr<redis::connection> connection_;
    std::string address_;
    std::string digest_; // of the script, once Redis has it
};

RedisBus::RedisBus(asio::any_io_executor executor, Clock& clock, Options options)
    : impl_(std::make_unique<Impl>(std::move(executor), clock, std::move(options))) {}
RedisBus::~RedisBus() = default;

awaitable<result<void>> RedisBus::ping() {
    redis::request request = Impl::make();
    request.push("PING");
    CO_TRY_VOID(co_await impl_->execute<std::string>(std::move(request)));
    co_return result<void>{};
}

awaitable<result<Position>> RedisBus::append(std::vector<StreamEventPtr> events,
                                             AppendTerms terms) {
    return impl_->append(std::move(events), terms);
}

awaitable<result<Position>> RedisBus::last() { return impl_->append({}, {}); }

awaitable<result<Position>> RedisBus::first() { return impl_->edge("XRANGE", "-", "+"); }

awaitable<result<std::vector<StreamEventPtr>>> RedisBus::read(Position after, std::size_t count,
                                                              Clock::duration wait) {
    return impl_->read(after, count, wait);
}

awaitable<result<void>> RedisBus::trim_before(Position position) {
    redis::request request = Impl::make();
    request.push("XTRIM", impl_->options_.stream, "MINID", to_string(position));
    CO_TRY_VOID(co_await impl_->execute<std::int64_t>(std::move(request)));
    co_return result<void>{};
}

awaitable<result<std::string>> RedisBus::eviction_policy() {
    redis::request request = Impl::make();
    request.push("INFO", "memory");
    CO_TRY(const std::string info, co_await impl_->execute<std::string>(std::move(request)));
    constexpr std::string_view key = "maxmemory_policy:";
    const auto at = info.find(key);
    if (at == std::string::npos)
        co_return fail(ErrorCode::unsupported, "Redis does not say its maxmemory-policy");
    co_return info.substr(at + key.size(), info.find_first_of("\r\n", at) - at - key.size());
}

} // namespace netbuild
