// SPDX-License-Identifier: Apache-2.0
#pragma once
// The contract of ports/session_store.hpp, run on every adapter: an adapter's test instantiates the
// suite with a type that has
//   SessionStore& store(SessionTimeouts)   another one with the same sessions at each call
//   void pass(Clock::duration)             time passes
//   using Brief                            timeouts that a test can wait for
#include <deque>

#include <gtest/gtest.h>

#include <boost/asio/experimental/awaitable_operators.hpp>

#include "ports/session_store.hpp"
#include "support/run.hpp"
#include "support/servers.hpp"
#include "wire/json.hpp"

namespace netbuild::test {

template <class Adapter>
class SessionStoreContract : public testing::Test {
protected:
    SessionStore& store() { return store_; }
    NewSession create(std::string user = {}, Object data = {}) {
        return must(context, store_.create(std::move(user), std::move(data)));
    }
    Object data_of(const std::string& id) { return must(context, store_.read(id)).data; }
    bool alive(const std::string& id) {
        const auto session = run(context, store_.read(id));
        if (!session) {
            EXPECT_EQ(session.error().code(), ErrorCode::not_found) << session.error().message();
        }
        return session.has_value();
    }
    template <class T>
    static ErrorCode code_of(const result<T>& outcome) {
        return outcome ? ErrorCode::internal : outcome.error().code();
    }
    std::vector<std::string> handles(const std::string& user) {
        std::vector<std::string> found;
        for (const Session& session : must(context, store_.list(user)))
            found.push_back(session.handle);
        return found;
    }
    /// Runs all of them side by side.
    template <class T>
    std::vector<T> together(std::vector<awaitable<T>> tasks) {
        std::vector<std::optional<T>> outcomes(tasks.size());
        std::size_t left = tasks.size();
        for (std::size_t i = 0; i < tasks.size(); ++i)
            asio::co_spawn(context, std::move(tasks[i]),
                           [&outcomes, &left, i](const std::exception_ptr& escaped, T outcome) {
                               if (escaped) std::rethrow_exception(escaped);
                               outcomes[i].emplace(std::move(outcome));
                               --left;
                           });
        context.restart();
        while (left > 0 && context.run_one() > 0) {
        }
        std::vector<T> all;
        for (auto& outcome : outcomes)
            all.push_back(std::move(*outcome));
        return all;
    }

    asio::io_context context;
    Adapter adapter{context};
    SessionStore& store_ = adapter.store(SessionTimeouts{});
    const std::string ada = unique_name("ada"), bob = unique_name("bob");
};
TYPED_TEST_SUITE_P(SessionStoreContract);

TYPED_TEST_P(SessionStoreContract, a_session_comes_back_as_it_was_made) {
    const Object data{{"cart", Array{Object{{"sku", "ä-1"}, {"count", 2}}}},
                      {"empty", Array{}},
                      {"nothing", Object{}},
                      {"rate", 0.25},
                      {"large", std::int64_t{1} << 52},
                      {"yes", true},
                      {"odd \" \\ \x01 name", "\xF0\x9F\x98\x80"}};
    const auto made = this->create(this->ada, data);
    EXPECT_EQ(made.id.size(), 43u);
    EXPECT_TRUE(is_session_handle(made.session.handle));
    const Session read = must(this->context, this->store().read(made.id));
    EXPECT_EQ(to_json(read.data, JsonStyle::canonical), to_json(data, JsonStyle::canonical));
    EXPECT_EQ(read.user, this->ada);
    EXPECT_EQ(read.handle, made.session.handle);
    EXPECT_EQ(read.created_at, made.session.created_at);
    EXPECT_EQ(read.ends_at, made.session.ends_at);
    EXPECT_EQ(read.ends_at.milliseconds - read.created_at.milliseconds, 12 * 3600 * 1000);
    EXPECT_NEAR(static_cast<double>(read.expires_at.milliseconds - read.created_at.milliseconds),
                30 * 60e3, 5e3);
    EXPECT_EQ(made.session.handle.find(made.id.substr(0, 8)), std::string::npos);
    EXPECT_NE(this->create(this->ada).id, made.id);
}

TYPED_TEST_P(SessionStoreContract, an_id_that_none_can_be_is_not_found_and_names_no_key) {
    const auto made = this->create(this->ada);
    for (const std::string& id :
         {std::string(), std::string("x"), made.id + "x", made.id.substr(1), made.session.handle,
          std::string(43, ' '), std::string(42, 'a') + "\n", std::string(42, 'a') + "*",
          std::string("a\0b", 3) + std::string(40, 'a'), std::string(42, 'a') + "\xFF",
          std::string(std::size_t{1} << 20, 'a'), "{" + made.id.substr(1)}) {
        EXPECT_FALSE(this->alive(id));
        EXPECT_EQ(this->code_of(run(this->context, this->store().touch(id))), ErrorCode::not_found);
        EXPECT_EQ(this->code_of(run(this->context, this->store().update(id, {}))),
                  ErrorCode::not_found);
        EXPECT_EQ(this->code_of(run(this->context, this->store().rotate(id, {}))),
                  ErrorCode::not_found);
        if (id != made.session.handle) {
            EXPECT_FALSE(must(this->context, this->store().revoke(id)));
        }
    }
    EXPECT_TRUE(this->alive(made.id));
}

TYPED_TEST_P(SessionStoreContract, what_is_too_large_or_odd_is_refused_and_named) {
    const auto refused = [&](std::string user, Object data) {
        const auto made =
            run(this->context, this->store().create(std::move(user), std::move(data)));
        EXPECT_FALSE(made.has_value());
        return made ? std::string() : made.error().message();
    };
    const auto has = [](const std::string& text, std::string_view part) {
        return text.find(part) != std::string::npos;
    };
    EXPECT_TRUE(has(refused(std::string(257, 'a'), {}), "userId: must have at most 256 bytes"));
    EXPECT_TRUE(has(refused(std::string("a\0b", 3), {}), "userId: must not hold NUL"));
    EXPECT_TRUE(has(refused("\xFF", {}), "userId: must be UTF-8"));
    EXPECT_TRUE(has(refused("", {{"big", std::string(SessionStore::data_bytes_max, 'x')}}),
                    "at most 65536"));
    EXPECT_TRUE(has(refused("", {{std::string(101, 'n'), 1}}), "data: a field's name"));
    EXPECT_TRUE(has(refused("", {{"$where", 1}}), "data.$where"));
    EXPECT_TRUE(has(refused("", {{"a", "\xFF"}}), "data.a: must be UTF-8"));
    Object many;
    for (int i = 0; i < 101; ++i)
        many.append("f" + std::to_string(i), i);
    EXPECT_TRUE(has(refused("", many), "data: must have at most 100 fields"));
    // Field by field does not get there either.
    many.erase("f100");
    const auto made = this->create({}, many);
    const auto one_more =
        run(this->context, this->store().update(made.id, {.set = {{"more", 1}}, .expected = {}}));
    EXPECT_EQ(this->code_of(one_more), ErrorCode::payload_too_large);
    EXPECT_EQ(this->data_of(made.id).size(), 100u);
}

TYPED_TEST_P(SessionStoreContract, a_change_sets_and_removes_what_it_names_and_nothing_else) {
    const auto made = this->create({}, {{"a", 1}, {"b", 2}, {"c", 3}});
    const Session changed =
        must(this->context,
             this->store().update(
                 made.id, {.set = {{"a", 10}, {"b", nullptr}, {"d", "new"}}, .expected = {}}));
    const Object wanted{{"a", 10}, {"c", 3}, {"d", "new"}};
    EXPECT_EQ(changed.data, wanted);
    EXPECT_EQ(this->data_of(made.id), wanted);
}

TYPED_TEST_P(SessionStoreContract, a_field_is_set_only_from_the_value_that_the_change_expects) {
    const auto made = this->create({}, {{"step", 1}, {"cart", Object{{"x", 1}, {"y", 2}}}});
    const auto change = [&](Object set, Object expected) {
        return run(this->context,
                   this->store().update(made.id, {std::move(set), std::move(expected)}));
    };
    EXPECT_TRUE(change({{"step", 2}}, {{"step", 1}}).has_value());
    const auto late = change({{"step", 3}, {"other", 1}}, {{"step", 1}});
    ASSERT_EQ(this->code_of(late), ErrorCode::conflict);
    EXPECT_NE(late.error().message().find("step"), std::string::npos);
    EXPECT_EQ(this->data_of(made.id).size(), 2u);
    // The order of members is no difference, and null is what is not there.
    EXPECT_TRUE(change({{"once", 1}}, {{"cart", Object{{"y", 2}, {"x", 1}}}, {"once", nullptr}})
                    .has_value());
    EXPECT_EQ(this->code_of(change({{"once", 2}}, {{"once", nullptr}})), ErrorCode::conflict);
    EXPECT_EQ(this->store().counters().refused_writes, 2u);
}

TYPED_TEST_P(SessionStoreContract, parallel_changes_of_different_fields_lose_none) {
    const auto made = this->create(this->ada);
    std::vector<awaitable<result<Session>>> changes;
    for (int i = 0; i < 30; ++i)
        changes.push_back(this->store().update(
            made.id, {.set = {{"field" + std::to_string(i), i}}, .expected = {}}));
    for (const auto& changed : this->together(std::move(changes)))
        ASSERT_TRUE(changed.has_value()) << changed.error().message();
    EXPECT_EQ(this->data_of(made.id).size(), 30u);
}

TYPED_TEST_P(SessionStoreContract, of_parallel_changes_from_one_value_one_is_made) {
    const auto made = this->create({}, {{"count", 0}});
    std::vector<awaitable<result<Session>>> changes;
    for (int i = 0; i < 10; ++i)
        changes.push_back(
            this->store().update(made.id, {.set = {{"count", i + 1}}, .expected = {{"count", 0}}}));
    int done = 0;
    for (const auto& changed : this->together(std::move(changes))) {
        done += changed.has_value();
        if (!changed) EXPECT_EQ(changed.error().code(), ErrorCode::conflict);
    }
    EXPECT_EQ(done, 1);
}

TYPED_TEST_P(SessionStoreContract, what_was_revoked_no_late_write_brings_back) {
    for (const bool by_handle : {false, true}) {
        const auto made = this->create(this->ada, {{"a", 1}});
        const std::string& name = by_handle ? made.session.handle : made.id;
        EXPECT_TRUE(must(this->context, this->store().revoke(name)));
        EXPECT_FALSE(must(this->context, this->store().revoke(name)));
        EXPECT_FALSE(this->alive(made.id));
        EXPECT_EQ(this->code_of(run(this->context, this->store().touch(made.id))),
                  ErrorCode::not_found);
        EXPECT_EQ(
            this->code_of(run(this->context,
                              this->store().update(made.id, {.set = {{"a", 2}}, .expected = {}}))),
            ErrorCode::not_found);
        EXPECT_EQ(this->code_of(run(this->context, this->store().rotate(made.id, {}))),
                  ErrorCode::not_found);
        EXPECT_FALSE(this->alive(made.id));
        EXPECT_TRUE(this->handles(this->ada).empty());
    }
    EXPECT_EQ(this->store().counters().revoked, 2u);
    EXPECT_EQ(this->store().counters().refused_writes, 4u);
}

TYPED_TEST_P(SessionStoreContract, a_rotated_session_has_a_new_id_and_the_old_one_is_dead) {
    const auto made = this->create({}, {{"cart", 3}});
    const auto moved = must(this->context, this->store().rotate(made.id, this->ada));
    EXPECT_NE(moved.id, made.id);
    EXPECT_FALSE(this->alive(made.id));
    const Session session = must(this->context, this->store().read(moved.id));
    EXPECT_EQ(session.user, this->ada);
    EXPECT_EQ(session.data, (Object{{"cart", 3}}));
    EXPECT_EQ(session.created_at, made.session.created_at);
    EXPECT_EQ(session.ends_at, made.session.ends_at);
    EXPECT_EQ(this->handles(this->ada), std::vector{moved.session.handle});
    EXPECT_EQ(this->code_of(run(this->context, this->store().update(
                                                   made.id, {.set = {{"a", 2}}, .expected = {}}))),
              ErrorCode::not_found);
    // Again, as the same user; not as another.
    const auto again = must(this->context, this->store().rotate(moved.id, {}));
    EXPECT_EQ(this->handles(this->ada), std::vector{again.session.handle});
    EXPECT_EQ(this->code_of(run(this->context, this->store().rotate(again.id, this->bob))),
              ErrorCode::invalid_argument);
    EXPECT_TRUE(this->alive(again.id));
}

TYPED_TEST_P(SessionStoreContract, of_parallel_rotations_one_wins_and_no_write_is_lost) {
    const auto made = this->create(this->ada);
    std::vector<awaitable<result<std::string>>> tasks;
    const auto rotation = [&]() -> awaitable<result<std::string>> {
        CO_TRY(const auto moved, co_await this->store().rotate(made.id, {}));
        co_return moved.id;
    };
    const auto write = [&](int i) -> awaitable<result<std::string>> {
        CO_TRY_VOID(co_await this->store().update(
            made.id, {.set = {{"f" + std::to_string(i), i}}, .expected = {}}));
        co_return "f" + std::to_string(i);
    };
    for (int i = 0; i < 20; ++i)
        tasks.push_back(i % 5 == 4 ? rotation() : write(i));
    std::string winner;
    std::vector<std::string> written;
    for (const auto& outcome : this->together(std::move(tasks))) {
        if (!outcome) {
            EXPECT_EQ(outcome.error().code(), ErrorCode::not_found) << outcome.error().message();
        } else if (outcome->size() == 43) {
            EXPECT_TRUE(winner.empty()) << "two rotations won";
            winner = *outcome;
        } else {
            written.push_back(*outcome);
        }
    }
    ASSERT_FALSE(winner.empty());
    EXPECT_FALSE(this->alive(made.id));
    const Object data = this->data_of(winner);
    EXPECT_EQ(data.size(), written.size());
    for (const std::string& field : written)
        EXPECT_TRUE(data.contains(field)) << field;
    EXPECT_EQ(this->handles(this->ada).size(), 1u);
}

TYPED_TEST_P(SessionStoreContract, a_user_s_sessions_are_listed_and_all_revoked) {
    std::vector<std::string> wanted;
    std::vector<std::string> ids;
    for (int i = 0; i < 5; ++i) {
        const auto made = this->create(this->ada, {{"i", i}});
        wanted.push_back(made.session.handle);
        ids.push_back(made.id);
    }
    const auto other = this->create(this->bob), nobodys = this->create();
    EXPECT_EQ(this->handles(this->ada), wanted);
    EXPECT_EQ(must(this->context, this->store().revoke_all(this->ada)), 5u);
    EXPECT_EQ(must(this->context, this->store().revoke_all(this->ada)), 0u);
    for (const std::string& id : ids)
        EXPECT_FALSE(this->alive(id));
    EXPECT_TRUE(this->handles(this->ada).empty());
    EXPECT_TRUE(this->alive(other.id) && this->alive(nobodys.id));
    const auto again = this->create(this->ada);
    EXPECT_EQ(this->handles(this->ada), std::vector{again.session.handle});
    EXPECT_EQ(this->code_of(run(this->context, this->store().revoke_all({}))),
              ErrorCode::invalid_argument);
}

TYPED_TEST_P(SessionStoreContract, revoking_all_reaches_sessions_that_are_rotated_meanwhile) {
    for (int round = 0; round < 5; ++round) {
        std::vector<std::string> ids;
        for (int i = 0; i < 4; ++i)
            ids.push_back(this->create(this->ada).id);
        std::vector<awaitable<result<std::string>>> tasks;
        const auto rotation = [&](std::string id) -> awaitable<result<std::string>> {
            for (int i = 0; i < 5; ++i) {
                auto moved = co_await this->store().rotate(id, {});
                if (!moved) break;
                id = moved->id;
            }
            co_return id;
        };
        const auto end = [&]() -> awaitable<result<std::string>> {
            CO_TRY_VOID(co_await this->store().revoke_all(this->ada));
            co_return std::string();
        };
        for (const std::string& id : ids)
            tasks.push_back(rotation(id));
        tasks.insert(tasks.begin() + round % 4, end());
        for (const auto& outcome : this->together(std::move(tasks))) {
            ASSERT_TRUE(outcome.has_value()) << outcome.error().message();
            if (!outcome->empty()) EXPECT_FALSE(this->alive(*outcome));
        }
        EXPECT_TRUE(this->handles(this->ada).empty());
    }
}

TYPED_TEST_P(SessionStoreContract, one_session_too_many_ends_the_user_s_oldest) {
    const auto first = this->create(this->ada);
    const auto second = this->create(this->ada);
    for (std::size_t i = 2; i < SessionStore::sessions_of_a_user_max; ++i)
        this->create(this->ada);
    EXPECT_TRUE(this->alive(first.id));
    this->create(this->ada);
    EXPECT_FALSE(this->alive(first.id));
    EXPECT_TRUE(this->alive(second.id));
    EXPECT_EQ(this->handles(this->ada).size(), SessionStore::sessions_of_a_user_max);
    EXPECT_EQ(this->store().counters().revoked, 1u);
}

TYPED_TEST_P(SessionStoreContract, reading_keeps_a_session_and_silence_ends_it) {
    SessionStore& brief = this->adapter.store({TypeParam::brief, 100 * TypeParam::brief});
    const auto made = must(this->context, brief.create(this->ada, {{"a", 1}}));
    const auto touched = must(this->context, brief.create(this->ada, {}));
    const auto changed = must(this->context, brief.create(this->ada, {}));
    const auto silent = must(this->context, brief.create(this->ada, {}));
    for (int i = 0; i < 4; ++i) {
        this->adapter.pass(TypeParam::brief / 2);
        const auto read = run(this->context, brief.read(made.id));
        ASSERT_TRUE(read.has_value()) << i;
        EXPECT_LT(read->expires_at, read->ends_at);
        EXPECT_TRUE(run(this->context, brief.touch(touched.id)).has_value());
        EXPECT_TRUE(
            run(this->context, brief.update(changed.id, {.set = {{"i", i}}, .expected = {}}))
                .has_value());
    }
    EXPECT_EQ(must(this->context, brief.list(this->ada)).size(), 3u);
    EXPECT_EQ(this->code_of(run(this->context, brief.read(silent.id))), ErrorCode::not_found);
    EXPECT_EQ(this->code_of(run(this->context, brief.touch(silent.id))), ErrorCode::not_found);
    EXPECT_FALSE(must(this->context, brief.revoke(silent.id)));
    this->adapter.pass(TypeParam::brief + TypeParam::brief / 4);
    EXPECT_EQ(this->code_of(run(this->context, brief.read(made.id))), ErrorCode::not_found);
    EXPECT_TRUE(must(this->context, brief.list(this->ada)).empty());
}

TYPED_TEST_P(SessionStoreContract, at_its_absolute_end_a_session_ends_however_it_is_read) {
    SessionStore& brief = this->adapter.store({TypeParam::brief, 2 * TypeParam::brief});
    auto made = must(this->context, brief.create(this->ada, {}));
    const Date ends = made.session.ends_at;
    for (int i = 0; i < 6; ++i) {
        this->adapter.pass(TypeParam::brief / 4);
        auto read = run(this->context, brief.read(made.id));
        ASSERT_TRUE(read.has_value()) << i;
        EXPECT_EQ(read->ends_at, ends);
        EXPECT_LE(read->expires_at, ends);
        // Nor does another id give it more time.
        if (i == 3) made = must(this->context, brief.rotate(made.id, {}));
    }
    this->adapter.pass(TypeParam::brief * 3 / 4);
    EXPECT_EQ(this->code_of(run(this->context, brief.read(made.id))), ErrorCode::not_found);
    EXPECT_EQ(this->code_of(run(this->context, brief.update(made.id, {}))), ErrorCode::not_found);
    EXPECT_TRUE(must(this->context, brief.list(this->ada)).empty());
}

REGISTER_TYPED_TEST_SUITE_P(SessionStoreContract, a_session_comes_back_as_it_was_made,
                            an_id_that_none_can_be_is_not_found_and_names_no_key,
                            what_is_too_large_or_odd_is_refused_and_named,
                            a_change_sets_and_removes_what_it_names_and_nothing_else,
                            a_field_is_set_only_from_the_value_that_the_change_expects,
                            parallel_changes_of_different_fields_lose_none,
                            of_parallel_changes_from_one_value_one_is_made,
                            what_was_revoked_no_late_write_brings_back,
                            a_rotated_session_has_a_new_id_and_the_old_one_is_dead,
                            of_parallel_rotations_one_wins_and_no_write_is_lost,
                            a_user_s_sessions_are_listed_and_all_revoked,
                            revoking_all_reaches_sessions_that_are_rotated_meanwhile,
                            one_session_too_many_ends_the_user_s_oldest,
                            reading_keeps_a_session_and_silence_ends_it,
                            at_its_absolute_end_a_session_ends_however_it_is_read);

} // namespace netbuild::test
