// SPDX-License-Identifier: Apache-2.0
#include "redis/node_sessions.hpp"

#include <algorithm>
#include <charconv>

#include "session_strings.hpp"
#include "wire/json.hpp"

namespace netbuild {
namespace {

using resp::Reply;
using Type = Reply::Type;

constexpr std::size_t id_length_max = 200;
/// Keys of one SCAN, and of the reads that follow it.
constexpr std::string_view scan_count = "500";
/// While a cluster moves slots a look at all keys may miss some: it is repeated.
constexpr int scans_max = 5;

/// The members with the cookie among them, as Node wrote them and in that order.
result<Object> read_stored(const std::string& text) {
    auto parsed = parse_lenient_json(text);
    Object* object = parsed ? parsed->get_if<Object>() : nullptr;
    const Value* cookie = object ? object->find("cookie") : nullptr;
    if (!cookie || !cookie->is<Object>())
        return fail(ErrorCode::unsupported, "something else lies where the session should");
    return std::move(*object);
}

/// How long the cookie lives from each request on; nothing: as long as the browser.
std::optional<std::int64_t> max_age_ms(const Object& stored) {
    const Value* age = stored.find("cookie")->at_path("originalMaxAge");
    if (!age) return std::nullopt;
    const auto* fraction = age->get_if<double>();
    const std::int64_t ms = fraction ? static_cast<std::int64_t>(*fraction) : age->integer_or();
    return ms > 0 ? std::optional(ms) : std::nullopt;
}

/// Who signed in: a text, or a number as databases have them.
std::string user_in(const Object& stored, std::string_view field) {
    const Value whole(stored);
    const Value* user = whole.at_path(field);
    if (!user) return {};
    if (user->is<std::int32_t>() || user->is<std::int64_t>())
        return std::to_string(user->integer_or());
    return std::string(user->string_or());
}

void set_user(Object& stored, std::string_view field, const std::string& user) {
    Object* within = &stored;
    for (auto dot = field.find('.'); dot != std::string_view::npos; dot = field.find('.')) {
        within = &within->object_at(field.substr(0, dot));
        field.remove_prefix(dot + 1);
    }
    within->set(field, user);
}

/// A server of a cluster by a slot of its: what SCAN is sent to. Nothing: the only server.
using Server = std::optional<std::uint16_t>;

} // namespace

class NodeSessions::Impl final : public SessionStrings {
public:
    Impl(RedisClient& redis, Clock& clock, Options options)
        : SessionStrings(redis, options.timeouts),
          clock_(clock),
          prefix_(std::move(options.prefix)),
          user_field_(std::move(options.user_field)) {}

private:
    result<Keys> keys_of(std::string_view id) const override {
        // Services may make ids of their own: whatever a URL and a key can hold unescaped.
        constexpr std::string_view letters =
            "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~";
        if (id.empty() || id.size() > id_length_max ||
            id.find_first_not_of(letters) != std::string_view::npos || is_session_handle(id))
            return no_session();
        std::string session = prefix_ + std::string(id);
        // In the session's slot by what stands in braces.
        std::string tombstone = "netbuild:session:ended:{" + session + "}";
        return Keys{session_handle(id), std::move(session), std::move(tombstone)};
    }

    [[nodiscard]] Clock::duration life_of(const Object& stored) const {
        const auto age = max_age_ms(stored);
        return age ? Clock::duration(std::chrono::milliseconds(*age)) : timeouts_.idle;
    }
    [[nodiscard]] Date from_now(Clock::duration time) const {
        return {clock_.utc_us() / 1000 +
                std::chrono::duration_cast<std::chrono::milliseconds>(time).count()};
    }
    [[nodiscard]] std::string text_of(Object stored) const {
        // As Node does where it writes a session.
        if (max_age_ms(stored))
            stored.object_at("cookie").set("expires", from_now(life_of(stored)));
        return to_json(stored);
    }

    result<Session> session_in(const Keys& keys, const std::string& text) const override {
        TRY(Object stored, read_stored(text));
        Session session;
        session.handle = keys.handle;
        session.user = user_in(stored, user_field_);
        session.expires_at = from_now(life_of(stored));
        stored.erase("cookie");
        session.data = std::move(stored);
        return session;
    }
    result<std::string> changed(const std::string& text,
                                const SessionChange& change) const override {
        TRY(Object stored, read_stored(text));
        Value cookie = *stored.find("cookie");
        TRY_VOID(leaves_cookie(change.set));
        stored.erase("cookie");
        TRY(Object data, apply_change(std::move(stored), change));
        return text_of(with_cookie(std::move(cookie), std::move(data)));
    }
    result<std::string> owned_by(const std::string& text, std::string user) const override {
        TRY(Object stored, read_stored(text));
        const std::string before = user_in(stored, user_field_);
        TRY(const std::string owner, signed_in(before, std::move(user)));
        if (owner != before) set_user(stored, user_field_, owner);
        return text_of(std::move(stored));
    }
    std::string idle_ms(const std::string& text) const override {
        const auto stored = read_stored(text);
        return stored ? milliseconds_text(life_of(*stored)) : idle_ms_;
    }
    static result<void> leaves_cookie(const Object& data) {
        if (data.contains("cookie"))
            return fail(ErrorCode::invalid_argument, "cookie: is express-session's own");
        return {};
    }
    static Object with_cookie(Value cookie, Object data) {
        Object stored;
        stored.append("cookie", std::move(cookie));
        for (auto& member : data)
            stored.append(std::move(member.key), std::move(member.value));
        return stored;
    }

    awaitable<result<bool>> put_copy(const Keys& keys, const std::string& text) override {
        const std::string life = idle_ms(text);
        CO_TRY(const auto reply, co_await redis_.execute(RedisCommand::on(
                                     keys.session, {"SET", keys.session, text, "PX", life, "NX"})));
        co_return reply.type == Type::text;
    }
    // There is no list of a user's sessions.
    awaitable<result<bool>> enlist(std::string, std::string, std::string) override {
        co_return true;
    }
    awaitable<result<void>> strike(std::string, std::string) override { co_return result<void>{}; }

    awaitable<result<NewSession>> insert(std::string user, Object data) override {
        CO_TRY_VOID(leaves_cookie(data));
        NewSession made{new_session_id(), {}};
        CO_TRY(const Keys keys, keys_of(made.id));
        const auto age = std::chrono::duration_cast<std::chrono::milliseconds>(timeouts_.idle);
        Object stored = with_cookie(Object{{"originalMaxAge", std::int64_t{age.count()}},
                                           {"expires", from_now(timeouts_.idle)},
                                           {"httpOnly", true},
                                           {"path", "/"}},
                                    std::move(data));
        if (!user.empty()) set_user(stored, user_field_, user);
        const std::string text = text_of(std::move(stored));
        CO_TRY(const bool put, co_await put_copy(keys, text));
        if (!put) co_return fail(ErrorCode::internal, "two sessions have one id");
        CO_TRY(made.session, session_in(keys, text));
        co_return made;
    }

    /// What a command says of the session, and whether its tombstone is there.
    struct Looked {
        Reply reply;
        bool ended = false;
    };
    awaitable<result<Looked>> look(std::string_view command, Keys keys) {
        std::vector<RedisCommand> both;
        both.push_back(RedisCommand::on(keys.session, {command, keys.session}));
        both.push_back(RedisCommand::on(keys.tombstone, {"EXISTS", keys.tombstone}));
        auto replies = co_await redis_.execute_all(std::move(both));
        CO_TRY(Reply reply, std::move(replies[0]));
        CO_TRY(const Reply tombstone, std::move(replies[1]));
        co_return Looked{std::move(reply), tombstone.integer != 0};
    }

    awaitable<result<Session>> get(std::string id) override {
        CO_TRY(const Keys keys, keys_of(id));
        CO_TRY(const Looked looked, co_await look("GET", keys));
        const Reply& text = looked.reply;
        if (text.type != Type::text) co_return no_session();
        if (looked.ended) {
            // A Node service had it in hand when it was ended, and has written it since.
            ++counters_.refused_writes;
            CO_TRY_VOID(co_await bury(keys, {}, Missing::ignore));
            co_return no_session();
        }
        CO_TRY(Session session, session_in(keys, text.text));
        const std::string life = idle_ms(text.text);
        CO_TRY(const auto touched, co_await redis_.execute(RedisCommand::on(
                                       keys.session, {"PEXPIRE", keys.session, life})));
        if (touched.integer != 1) co_return no_session();
        co_return session;
    }

    awaitable<result<void>> extend(std::string id) override {
        CO_TRY_VOID(co_await get(std::move(id)));
        co_return result<void>{};
    }

    awaitable<result<bool>> end(std::string id_or_handle) override {
        if (is_session_handle(id_or_handle)) {
            std::uint64_t count = 0;
            CO_TRY_VOID(co_await for_each(
                [&](const Keys& keys, const Session&) { return keys.handle == id_or_handle; },
                [&](Keys keys, Session) -> awaitable<result<void>> {
                    CO_TRY(const Ended ended, co_await bury(keys, {}, Missing::bury));
                    count += ended.ended;
                    co_return result<void>{};
                }));
            co_return count > 0;
        }
        auto keys = keys_of(id_or_handle);
        if (!keys) co_return false;
        // A Node service may have it in hand, and not in Redis yet.
        CO_TRY(const Ended ended, co_await bury(*keys, {}, Missing::bury));
        co_return ended.ended;
    }

    awaitable<result<std::uint64_t>> end_all(std::string user) override {
        std::uint64_t count = 0;
        // One that is rotated meanwhile may come up behind the look: again, until there is none.
        for (int i = 0; i < scans_max; ++i) {
            const std::uint64_t before = count;
            CO_TRY_VOID(co_await for_each(
                [&](const Keys&, const Session& session) { return session.user == user; },
                [&](Keys keys, Session) -> awaitable<result<void>> {
                    CO_TRY(const Ended ended, co_await bury(keys, {}, Missing::bury));
                    count += ended.ended;
                    co_return result<void>{};
                }));
            if (count == before) break;
        }
        co_return count;
    }

    awaitable<result<std::vector<Session>>> of_user(std::string user) override {
        std::vector<Session> sessions;
        CO_TRY_VOID(co_await for_each(
            [&](const Keys&, const Session& session) { return session.user == user; },
            [&](Keys keys, Session session) -> awaitable<result<void>> {
                CO_TRY(const Looked looked, co_await look("PTTL", keys));
                const std::int64_t left_ms = looked.reply.integer;
                if (left_ms == -2 || looked.ended) co_return result<void>{};
                session.expires_at = from_now(std::chrono::milliseconds(left_ms));
                sessions.push_back(std::move(session));
                co_return result<void>{};
            }));
        // SCAN may name a key twice.
        const auto handle = [](const Session& session) { return session.handle; };
        std::ranges::sort(sessions, {}, handle);
        const auto twice = std::ranges::unique(sessions, {}, handle);
        sessions.erase(twice.begin(), twice.end());
        std::ranges::sort(sessions, {}, &Session::expires_at);
        if (sessions.size() > sessions_of_a_user_max)
            sessions.erase(sessions.begin(),
                           sessions.end() - static_cast<std::ptrdiff_t>(sessions_of_a_user_max));
        co_return sessions;
    }

    /// One slot of each master.
    awaitable<result<std::vector<Server>>> servers() {
        if (!redis_.is_cluster()) co_return std::vector<Server>{std::nullopt};
        CO_TRY(const auto reply,
               co_await redis_.execute(RedisCommand::anywhere({"CLUSTER", "SLOTS"})));
        std::vector<std::pair<std::string, Server>> found; // by the master's name
        for (const auto& range : reply.elements) {
            if (range.elements.size() < 3 || range.elements[2].elements.size() < 3) continue;
            const std::string& name = range.elements[2].elements[2].text;
            if (std::ranges::none_of(found, [&](const auto& one) { return one.first == name; }))
                found.emplace_back(name, static_cast<std::uint16_t>(range.elements[0].integer));
        }
        std::vector<Server> all;
        for (const auto& [name, slot] : found)
            all.push_back(slot);
        co_return all;
    }

    /// Every session that `wanted` is: connect-redis keeps no lists.
    template <class Wanted, class Do>
    awaitable<result<void>> for_each(Wanted wanted, Do each) {
        for (int i = 0; i < scans_max; ++i) {
            const std::uint64_t redirections = redis_.counters().redirections;
            CO_TRY(const auto all, co_await servers());
            for (const Server& server : all)
                CO_TRY_VOID(co_await scan(server, wanted, each));
            if (redis_.counters().redirections == redirections) co_return result<void>{};
        }
        co_return fail(ErrorCode::overloaded, "the cluster moves its slots: try again");
    }

    template <class Wanted, class Do>
    awaitable<result<void>> scan(Server server, Wanted& wanted, Do& each) {
        std::string cursor = "0";
        const std::string pattern = prefix_ + "*";
        do {
            RedisCommand command = RedisCommand::anywhere(
                {"SCAN", cursor, "MATCH", pattern, "COUNT", scan_count, "TYPE", "string"});
            command.slot = server;
            CO_TRY(const auto page, co_await redis_.execute(std::move(command)));
            if (page.elements.size() != 2)
                co_return fail(ErrorCode::unsupported, "SCAN has another answer");
            cursor = page.elements[0].text;
            std::vector<Keys> found;
            std::vector<RedisCommand> reads;
            for (const auto& key : page.elements[1].elements) {
                auto keys = keys_of(std::string_view(key.text).substr(prefix_.size()));
                if (!keys) continue;
                reads.push_back(RedisCommand::on(keys->session, {"GET", keys->session}));
                found.push_back(std::move(*keys));
            }
            auto replies = co_await redis_.execute_all(std::move(reads));
            for (std::size_t i = 0; i < found.size(); ++i) {
                CO_TRY(const auto text, std::move(replies[i]));
                if (text.type != Type::text) continue;
                auto session = session_in(found[i], text.text);
                // Somebody else's keys may begin like that.
                if (session && wanted(found[i], *session))
                    CO_TRY_VOID(co_await each(std::move(found[i]), std::move(*session)));
            }
        } while (cursor != "0");
        co_return result<void>{};
    }

    Clock& clock_;
    const std::string prefix_, user_field_;
};

NodeSessions::NodeSessions(RedisClient& redis, Clock& clock, Options options)
    : impl_(std::make_unique<Impl>(redis, clock, std::move(options))) {}
NodeSessions::~NodeSessions() = default;

SessionStore& NodeSessions::store() { return *impl_; }

} // namespace netbuild
