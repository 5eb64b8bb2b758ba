// SPDX-License-Identifier: Apache-2.0
#include "app/configuration.hpp"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <fmt/format.h>
#include <toml++/toml.h>

#include "http/rate_limits.hpp"
#include "limits/policy_text.hpp"

extern char** environ;

namespace netbuild::app {
namespace {

using enum SettingType;

constexpr SettingInfo all_settings[] = {
    {"engine.kind", text, "camunda7", "", false, "camunda7", "the process engine"},
    {"engine.source", text, "", "", false, "|wal|recording|simulator",
     "where transactions come from; by default wal if postgres.host is set, else simulator"},
    {"engine.name", text, "", "", false, "",
     "this engine's name in stream and checkpoint, if there are several"},
    {"engine.time_zone", text, "UTC", "", false, "",
     "of the engine's JVM: Camunda's timestamps have no zone"},
    {"engine.slot", text, "netbuild", "", false, "", "the logical replication slot"},
    {"engine.heartbeat_interval", duration, "10s", "", false, "",
     "an idle stream that the cluster's WAL left behind gets a message after it; 0s: never"},
    {"engine.publication", text, "netbuild", "", false, "", "the publication"},
    {"engine.schema", text, "public", "", false, "", "the schema of Camunda's tables"},
    {"engine.default_domain", text, "", "", false, "", "domainId where the engine has no tenant"},
    {"engine.recording", text, "", "", false, "", "the file that source = recording plays"},
    {"postgres.host", text, "", "POSTGRES_HOST", false, "", "Camunda's database"},
    {"postgres.port", integer, "5432", "POSTGRES_PORT", false, "", ""},
    {"postgres.dbname", text, "camunda", "POSTGRES_DB", false, "", ""},
    {"postgres.user", text, "camunda", "POSTGRES_USER", false, "",
     "a role with REPLICATION and SELECT"},
    {"postgres.password", text, "", "POSTGRES_PASSWORD", true, "", ""},
    {"postgres.sslmode", text, "prefer", "", false,
     "disable|allow|prefer|require|verify-ca|verify-full", ""},
    {"postgres.sslrootcert", text, "", "", false, "", "file with the certificate authority"},
    {"postgres.sslcert", text, "", "", false, "", "client certificate"},
    {"postgres.sslkey", text, "", "", false, "", "client key"},
    {"postgres.pool_max", integer, "20", "", false, "", "connections for queries"},
    {"postgres.idle_timeout", duration, "30s", "", false, "",
     "an unused connection is closed after it"},
    {"postgres.connect_timeout", duration, "2s", "", false, "", ""},
    {"postgres.wal_sender_timeout", duration, "10s", "", false, "",
     "after so long without a sign of this worker the server lets another one take over"},
    {"postgres.receive_timeout", duration, "30s", "", false, "",
     "after so long without an answer of the server capture connects anew"},
    {"mongodb.uri", text, "", "MONGODB_URI", false, "",
     "the document store; without it SQLite in store.path"},
    {"mongodb.pool_max", integer, "50", "", false, "", "connections"},
    {"mongodb.pool_min", integer, "10", "", false, "", "connections that are opened at start"},
    {"mongodb.socket_timeout", duration, "45s", "", false, "", ""},
    {"mongodb.threads", integer, "8", "", false, "", "calls at a time"},
    {"mongodb.parallel_bulks", integer, "1", "", false, "",
     "a large batch is written by so many of them; more for servers with cores to spare"},
    {"redis.url", text, "", "REDIS_URL", false, "", "the event stream; without it in this process"},
    {"redis.ca_file", text, "", "", false, "", "certificate authority for rediss://"},
    {"cache.memory_max", integer, "67108864", "", false, "",
     "bytes of each cache in this process; 0: nothing is cached"},
    {"cache.ttl", duration, "1m", "", false, "",
     "how long what was read is fresh, if no event outdates it before"},
    {"cache.timeout", duration, "200ms", "", false, "",
     "for redis.url; after it the store itself is read"},
    {"queue.jobs_max", integer, "1000000", "", false, "",
     "jobs of one queue that have not ended; past it adds are refused"},
    {"queue.watch_interval", duration, "5s", "", false, "",
     "between looks at the queues, for metrics"},
    {"camunda.url", text, "", "CAMUNDA_URL", false, "", "Camunda's REST API, http://…/engine-rest"},
    {"camunda.user", text, "", "", false, "", "for basic authentication"},
    {"camunda.password", text, "", "", true, "", ""},
    {"camunda.timeout", duration, "10s", "", false, "", ""},
    {"http.host", text, "127.0.0.1", "", false, "", "the address to listen on"},
    {"http.port", integer, "8080", "", false, "", ""},
    {"http.tls_certificate", text, "", "", false, "",
     "PEM file, the certificate first, then those that lead to its authority; with tls_key: "
     "https:// and wss:// only"},
    {"http.tls_key", text, "", "", false, "", "PEM file of the certificate's key"},
    {"http.auth", text, "token", "", false, "token|none",
     "who may ask: whoever has a token, or (on loopback only) anybody"},
    {"http.connections_max", integer, "1024", "", false, "", ""},
    {"http.head_timeout", duration, "10s", "", false, "", "for the head of a request"},
    {"realtime.ping_interval", duration, "25s", "", false, "", "between heartbeats of a client"},
    {"realtime.ping_timeout", duration, "20s", "", false, "", "for a client's answer to one"},
    {"realtime.payload_max", integer, "1000000", "", false, "", "bytes of a message"},
    {"realtime.connections_max", integer, "100000", "", false, "", ""},
    {"realtime.queue_max", integer, "4194304", "", false, "",
     "bytes that wait for one client; with more it is too slow, and disconnected"},
    {"realtime.rooms_max", integer, "1000", "", false, "", "rooms a client"},
    {"realtime.events_max", integer, "100", "", false, "", "events a second from a client"},
    {"realtime.origins", text, "", "", false, "",
     "pages of other hosts that may connect, separated by commas; *: any"},
    {"realtime.recovery", duration, "2m", "", false, "",
     "how long what a client had waits for it to come back"},
    {"realtime.adapter", text, "none", "", false, "none|redis|sharded|streams",
     "how this server shares rooms with others over redis.url, Node's among them: as their "
     "adapter"},
    {"realtime.adapter_key", text, "socket.io", "", false, "",
     "the adapter's key, channel prefix or stream; as all of the cluster have it"},
    {"realtime.adapter_mode", text, "dynamic", "", false, "dynamic|static",
     "subscriptions of sharded: a channel a room, or one for all; as all of the cluster have it"},
    {"realtime.adapter_response_channel", text, "common", "", false, "common|own",
     "of redis: own is publishOnSpecificResponseChannel; as all of the cluster have it"},
    {"realtime.adapter_streams", integer, "1", "", false, "",
     "streamCount of streams; as all of the cluster have it"},
    {"realtime.publisher", boolean, "true", "", false, "",
     "with an adapter: this server may be the one that gives events to Node servers' clients"},
    {"realtime.recheck", duration, "1m", "", false, "",
     "between looks at a client's token and roles"},
    {"realtime.ring_events", integer, "100000", "", false, "",
     "newest events in memory, for clients that come back"},
    {"realtime.ring_bytes", integer, "67108864", "", false, "", "and how large they may be"},
    {"realtime.drain", duration, "2s", "", false, "",
     "at the end, clients are let go spread over so long"},
    {"auth.access_ttl", duration, "10m", "", false, "", "how long an access token lives"},
    {"auth.refresh_ttl", duration, "30d", "", false, "",
     "a session that is not refreshed for so long ends"},
    {"auth.key_rotation", duration, "30d", "", false, "",
     "after it tokens are signed with a new key"},
    {"auth.key_passphrase", text, "", "", true, "",
     "encrypts the signing keys in the store; without it they lie there readable"},
    {"auth.argon2_memory_kib", integer, "19456", "", false, "", "of a password's hash"},
    {"auth.argon2_passes", integer, "2", "", false, "", ""},
    {"auth.argon2_lanes", integer, "1", "", false, "", ""},
    {"auth.failures_free", integer, "3", "", false, "",
     "failed sign-ins of an address before the first delay, which doubles"},
    {"auth.delay_max", duration, "15m", "", false, "", "the longest of these delays"},
    {"ratelimit.policies", text, "", "", false, "",
     "limits of the routes and of other services: NAME LIMIT/PERIOD by=… on=…; a line each"},
    {"ratelimit.trusted_proxies", text, "", "", false, "",
     "addresses and networks whose X-Forwarded-For is believed, separated by commas"},
    {"ratelimit.timeout", duration, "250ms", "", false, "",
     "for Redis' answer; then a policy fails open or closed"},
    {"ratelimit.denied_keys_max", integer, "65536", "", false, "",
     "keys that are known to be denied, in memory"},
    {"ratelimit.hold_max", duration, "10s", "", false, "",
     "so late may it be noticed that another server has unblocked a key"},
    {"sessions.format", text, "netbuild", "", false, "netbuild|connect-redis",
     "whose sessions /v1/sessions has: NetBuild's own, or those that Node services with"
     " express-session and connect-redis keep in redis.url"},
    {"sessions.idle_timeout", duration, "30m", "", false, "",
     "a session that nobody reads for so long ends"},
    {"sessions.absolute_timeout", duration, "12h", "", false, "",
     "a session ends after it however it is used; of connect-redis' it is how long a revoked one"
     " stays revoked"},
    {"sessions.cookie_secret", text, "", "", true, "",
     "of express-session's signed cookies: the newest secret first, older ones after blanks"},
    {"sessions.prefix", text, "sess:", "", false, "", "of connect-redis' keys"},
    {"sessions.user_field", text, "userId", "", false, "",
     "of connect-redis' sessions: who signed in; such as passport.user"},
    {"store.path", text, "netbuild-data", "", false, "", "folder of the embedded store"},
    {"embeddings.path", text, "", "", false, "",
     "folder of the index files, one process's; by default vectors in store.path"},
    {"embeddings.memory_max", integer, "2147483648", "", false, "",
     "bytes of all indexes in memory; the one that was not used for longest leaves"},
    {"embeddings.threads", integer, "2", "", false, "", "searches and builds at a time"},
    {"embeddings.graph_from", integer, "10000", "", false, "",
     "vectors from which on an index has a graph; smaller ones are searched vector by vector"},
    {"embeddings.effort", integer, "64", "", false, "",
     "candidates that a search of a graph looks at: more find more, and take longer"},
    {"embeddings.filter_percent_min", integer, "10", "", false, "",
     "a filter that fewer vectors pass is answered vector by vector"},
    {"embeddings.save_interval", duration, "60s", "", false, "",
     "a changed index is written to its file after it, or after 5000 changes"},
    {"events.keep", duration, "7d", "", false, "",
     "how long events stay in the stream and the store"},
    {"capture.transaction_memory_max", integer, "8388608", "", false, "",
     "bytes of row changes of one transaction in memory; more of them go into a file"},
    {"capture.spill_path", text, "", "", false, "",
     "folder of that file; by default spill in store.path"},
    {"sync.poison", text, "stop", "", false, "stop|skip",
     "what happens to a transaction that cannot be projected: it becomes a dead letter, and"
     " capture stops or goes on without it"},
    {"projection.active_tasks_max", integer, "1000", "", false, "",
     "open tasks inside an execution's document"},
    {"projection.bytes_inline_max", integer, "65536", "", false, "",
     "Bytes, File and Object values up to it are stored whole"},
    {"projection.retention", text, "keep", "", false, "keep|follow",
     "what Camunda's history clean-up does to documents"},
    {"projection.task_snapshots", boolean, "true", "", false, "",
     "completed tasks are kept as they were"},
    {"load.rows_per_second", integer, "0", "", false, "",
     "what a load reads from the engine's database at most; 0: as fast as it goes"},
    {"verify.interval", duration, "24h", "", false, "",
     "between scheduled comparisons of the read model with the engine; 0s: never"},
    {"simulator.seed", integer, "1", "", false, "", ""},
    {"simulator.instances", integer, "0", "", false, "", "0: without end"},
    {"simulator.rate", integer, "2", "", false, "", "process instances a second"},
    {"log.level", text, "info", "", false, "debug|info|warning|error", ""},
    {"log.format", text, "text", "", false, "text|json", ""},
};

const SettingInfo* find_info(std::string_view key) {
    const auto found = std::find_if(std::begin(all_settings), std::end(all_settings),
                                    [&](const SettingInfo& info) { return info.key == key; });
    return found == std::end(all_settings) ? nullptr : found;
}

Error bad(std::string detail) { return fail(ErrorCode::invalid_configuration, std::move(detail)); }

result<void> check(const SettingInfo& info, const std::string& value, const std::string& source) {
    const auto wrong = [&](std::string_view wanted) {
        return bad(fmt::format("{} ({}): must be {}{}", info.key, source, wanted,
                               info.secret ? "" : fmt::format(", not \"{}\"", value)));
    };
    if (value.empty()) return {};
    if (info.type == integer) {
        std::int64_t number = 0;
        const auto [end, ec] = std::from_chars(value.data(), value.data() + value.size(), number);
        if (ec != std::errc{} || end != value.data() + value.size() || number < 0)
            return wrong("a whole number");
    } else if (info.type == boolean && value != "true" && value != "false") {
        return wrong("true or false");
    } else if (info.type == duration && !parse_duration(value)) {
        return wrong("a duration such as 250ms, 30s, 5m, 7d");
    }
    if (info.choices.empty()) return {};
    std::string_view left = info.choices;
    while (true) {
        const auto bar = left.find('|');
        if (left.substr(0, bar) == value) return {};
        if (bar == std::string_view::npos) break;
        left.remove_prefix(bar + 1);
    }
    return wrong("one of " + std::string(info.choices));
}

/// The nearest known key, for a typing mistake.
std::string suggestion(std::string_view key) {
    const std::string_view section = key.substr(0, key.find('.') + 1);
    std::string known;
    for (const SettingInfo& info : all_settings) {
        if (!section.empty() && info.key.starts_with(section)) {
            known +=
                fmt::format("{}{}", known.empty() ? "" : ", ", info.key.substr(section.size()));
        }
    }
    return known.empty() ? std::string() : fmt::format("; there are {}", known);
}

std::string environment_name(std::string_view key) {
    std::string name = "NETBUILD_";
    for (const char c : key)
        name.push_back(c == '.' ? '_'
                                : static_cast<char>(std::toupper(static_cast<unsigned char>(c))));
    return name;
}

result<std::string> read_secret(const std::string& path, const std::string& variable) {
    std::ifstream file(path);
    if (!file) return bad(fmt::format("{}: {} cannot be read", variable, path));
    std::stringstream content;
    content << file.rdbuf();
    std::string text = content.str();
    while (!text.empty() && (text.back() == '\n' || text.back() == '\r'))
        text.pop_back();
    return text;
}

/// scheme://user:secret@host → scheme://user:***@host
std::string mask_url(std::string url) {
    const auto scheme = url.find("://");
    const auto at = url.rfind('@');
    if (scheme == std::string::npos || at == std::string::npos) return url;
    const auto colon = url.find(':', scheme + 3);
    if (colon != std::string::npos && colon < at) url.replace(colon + 1, at - colon - 1, "***");
    return url;
}

} // namespace

std::span<const SettingInfo> settings() noexcept { return all_settings; }

result<Clock::duration> parse_duration(std::string_view text) {
    std::int64_t number = 0;
    const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), number);
    const std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
    if (ec != std::errc{} || number < 0) return fail(ErrorCode::invalid_argument, "not a duration");
    if (unit == "ms") return Clock::duration(std::chrono::milliseconds(number));
    if (unit == "s") return Clock::duration(std::chrono::seconds(number));
    if (unit == "m") return Clock::duration(std::chrono::minutes(number));
    if (unit == "h") return Clock::duration(std::chrono::hours(number));
    if (unit == "d") return Clock::duration(std::chrono::hours(24 * number));
    return fail(ErrorCode::invalid_argument, "not a duration");
}

result<void> Configuration::set(std::string_view key, std::string value, std::string source) {
    const SettingInfo* info = find_info(key);
    if (!info) return bad(fmt::format("{}: there is no such key{}", source, suggestion(key)));
    TRY_VOID(check(*info, value, source));
    values_[std::string(key)] = {std::move(value), std::move(source)};
    return {};
}

namespace {

/// Debian's toml++ is built to throw.
result<toml::table> parse(const std::string& file) {
    try {
        return toml::parse_file(file);
    } catch (const toml::parse_error& error) {
        return bad(fmt::format("{}:{}: {}", file, error.source().begin.line, error.description()));
    }
}

template <class T>
std::optional<std::string> mistake_of(const result<T>& read) {
    return read ? std::nullopt : std::optional(read.error().detail());
}

result<void> load_file(const std::string& file, Configuration& configuration) {
    TRY(const toml::table parsed, parse(file));
    for (const auto& [section, content] : parsed) {
        const auto* table = content.as_table();
        if (!table) {
            return bad(fmt::format("{}:{}: {} stands in no section", file,
                                   content.source().begin.line, std::string_view(section.str())));
        }
        for (const auto& [key, value] : *table) {
            const std::string name =
                fmt::format("{}.{}", std::string_view(section.str()), std::string_view(key.str()));
            const std::string place = fmt::format("{}:{}", file, key.source().begin.line);
            const SettingInfo* info = find_info(name);
            if (!info)
                return bad(fmt::format("{}: there is no key {}{}", place, name, suggestion(name)));
            std::string text_value;
            if (const auto* as_text = value.as_string()) {
                text_value = as_text->get();
                if (info->type == integer)
                    return bad(
                        fmt::format("{} ({}): must be a whole number without quotes", name, place));
            } else if (const auto* as_integer = value.as_integer()) {
                if (info->type != integer)
                    return bad(fmt::format("{} ({}): must be a string in quotes", name, place));
                text_value = std::to_string(as_integer->get());
            } else if (const auto* as_boolean = value.as_boolean()) {
                if (info->type != boolean)
                    return bad(fmt::format("{} ({}): must not be a boolean", name, place));
                text_value = as_boolean->get() ? "true" : "false";
            } else {
                return bad(
                    fmt::format("{} ({}): must be a string, a number or a boolean", name, place));
            }
            TRY_VOID(configuration.set(name, std::move(text_value), place));
        }
    }
    return {};
}

} // namespace

bool is_loopback(std::string_view host) noexcept {
    return host.starts_with("127.") || host == "::1" || host == "localhost";
}

result<Configuration> Configuration::load(const std::string& file, const Environment& environment,
                                          const Flags& flags) {
    Configuration configuration;
    for (const SettingInfo& info : all_settings) {
        configuration.values_[std::string(info.key)] = {std::string(info.default_value), "default"};
    }
    std::string path = file;
    if (path.empty() && std::filesystem::exists("netbuild.toml")) path = "netbuild.toml";
    if (!path.empty()) {
        if (!std::filesystem::exists(path)) return bad(path + ": there is no such file");
        TRY_VOID(load_file(path, configuration));
    }
    for (const SettingInfo& info : all_settings) {
        for (const std::string& name :
             {std::string(info.environment), environment_name(info.key)}) {
            if (name.empty()) continue;
            if (const auto found = environment.find(name); found != environment.end()) {
                TRY_VOID(configuration.set(info.key, found->second, name));
            }
            if (const auto found = environment.find(name + "_FILE"); found != environment.end()) {
                TRY(std::string secret, read_secret(found->second, name + "_FILE"));
                TRY_VOID(configuration.set(info.key, std::move(secret), name + "_FILE"));
            }
        }
    }
    for (const auto& [key, value] : flags)
        TRY_VOID(configuration.set(key, value, "flag"));
    if (!configuration.has("engine.source")) {
        const bool database = configuration.has("postgres.host");
        configuration.values_["engine.source"] = {database ? "wal" : "simulator", "default"};
    }
    if (configuration.text("engine.source") == "wal" && !configuration.has("postgres.host")) {
        return bad(fmt::format("engine.source ({}): wal needs postgres.host (POSTGRES_HOST)",
                               configuration.at("engine.source").source));
    }
    if (configuration.has("http.tls_certificate") != configuration.has("http.tls_key")) {
        const bool certificate = configuration.has("http.tls_certificate");
        const std::string_view key = certificate ? "http.tls_certificate" : "http.tls_key";
        return bad(fmt::format("{} ({}): it needs {} too", key, configuration.at(key).source,
                               certificate ? "http.tls_key" : "http.tls_certificate"));
    }
    const std::string& host = configuration.text("http.host");
    if (configuration.text("http.auth") == "none" && !is_loopback(host)) {
        return bad(fmt::format(
            "http.host ({}): {} is not loopback, and http.auth is \"none\": with \"token\" it may "
            "be any address",
            configuration.at("http.host").source, host));
    }
    if (configuration.text("realtime.adapter") != "none" && !configuration.has("redis.url")) {
        return bad(fmt::format("realtime.adapter ({}): \"{}\" needs redis.url (REDIS_URL)",
                               configuration.at("realtime.adapter").source,
                               configuration.text("realtime.adapter")));
    }
    for (const auto& [key, mistake] :
         {std::pair{"ratelimit.policies",
                    mistake_of(limits::parse_policies(configuration.text("ratelimit.policies")))},
          std::pair{"ratelimit.trusted_proxies",
                    mistake_of(http::TrustedProxies::parse(
                        configuration.text("ratelimit.trusted_proxies")))}}) {
        if (mistake)
            return bad(fmt::format("{} ({}): {}", key, configuration.at(key).source, *mistake));
    }
    if (const std::string& key = configuration.text("realtime.adapter_key");
        key.empty() || key.find_first_of("{}#*?[]") != std::string::npos) {
        return bad(fmt::format("realtime.adapter_key ({}): \"{}\" is empty or has one of {{}}#*?[]",
                               configuration.at("realtime.adapter_key").source, key));
    }
    if (configuration.integer("realtime.adapter_streams") < 1 ||
        configuration.integer("realtime.adapter_streams") > 1024) {
        return bad(fmt::format("realtime.adapter_streams ({}): must be 1 to 1024",
                               configuration.at("realtime.adapter_streams").source));
    }
    if (configuration.text("engine.source") == "recording" &&
        !configuration.has("engine.recording")) {
        return bad("engine.recording: source = \"recording\" needs a file");
    }
    return configuration;
}

Configuration::Environment Configuration::environment() {
    Environment variables;
    for (char** entry = environ; *entry; ++entry) {
        const std::string_view text = *entry;
        const auto equals = text.find('=');
        if (equals != std::string_view::npos)
            variables.emplace(text.substr(0, equals), text.substr(equals + 1));
    }
    return variables;
}

const Configuration::Setting& Configuration::at(std::string_view key) const {
    static const Setting none;
    const auto found = values_.find(key);
    return found == values_.end() ? none : found->second;
}

std::int64_t Configuration::integer(std::string_view key) const {
    const std::string& value = text(key);
    std::int64_t number = 0;
    std::from_chars(value.data(), value.data() + value.size(), number);
    return number;
}

Clock::duration Configuration::duration(std::string_view key) const {
    const auto parsed = parse_duration(text(key));
    return parsed ? *parsed : Clock::duration::zero();
}

std::string Configuration::shown(const SettingInfo& info) const {
    const std::string& value = text(info.key);
    if (info.secret && !value.empty()) return "***";
    return mask_url(value);
}

} // namespace netbuild::app
