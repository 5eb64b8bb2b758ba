// SPDX-License-Identifier: Apache-2.0
#include "identity/identity.hpp"

#include <gtest/gtest.h>

#include "data/identity_records.hpp"
#include "data/schema.hpp"
#include "sqlite/sqlite_records.hpp"
#include "support/run.hpp"
#include "support/temporary_folder.hpp"

namespace netbuild::test {
namespace {

using identity::Identity;
using identity::IdentityOptions;

/// The test owns the time.
struct HandClock final : Clock {
    [[nodiscard]] duration monotonic() const override { return now; }
    [[nodiscard]] std::int64_t utc_us() const override {
        return 1'800'000'000'000'000 + now.count() / 1000;
    }
    awaitable<result<void>> sleep(duration time) override {
        now += time;
        co_return result<void>{};
    }
    duration now{std::chrono::hours(1)};
};

constexpr const char* password = "correct horse battery";

class SignIn : public testing::Test {
protected:
    SignIn() {
        must(context, data::apply_schema(records, {}));
        user = must(context, identity.create_user({"Ada@Example.com", "Ada", password}, "test"));
        must(context, identity.set_role(user, "acme", Role::member, "test"));
    }
    static IdentityOptions cheap(std::uint32_t memory_kib = 64) {
        return {.passwords = {.memory_kib = memory_kib, .passes = 1, .threads = 1}};
    }
    identity::SignedIn sign_in() {
        return must(context, identity.login("ada@example.com", password, "test"));
    }
    ErrorCode refused(std::string email, std::string wrong) {
        const auto outcome = run(context, identity.login(std::move(email), std::move(wrong), ""));
        return outcome ? ErrorCode::internal : outcome.error().code();
    }
    ErrorCode token_code(const std::string& access_token) {
        const auto outcome = run(context, identity.authenticate("Bearer " + access_token));
        return outcome ? ErrorCode::internal : outcome.error().code();
    }
    bool valid(const std::string& access_token) {
        return run(context, identity.authenticate("Bearer " + access_token)).has_value();
    }

    asio::io_context context;
    HandClock clock;
    TemporaryFolder folder;
    SqliteRecords records{{.path = folder.file("records.sqlite")}};
    Identity identity{records, clock, cheap()};
    std::string user;
};

TEST_F(SignIn, gives_a_token_that_says_who_it_is_and_what_they_may) {
    const auto signed_in = sign_in();
    const Caller caller = must(context, identity.authenticate("Bearer " + signed_in.access_token));
    EXPECT_EQ(caller.subject, user);
    EXPECT_EQ(caller.session, signed_in.session);
    EXPECT_EQ(caller.role_in("acme"), Role::member);
    EXPECT_FALSE(caller.role_in("umbra"));
    clock.now += std::chrono::minutes(11);
    EXPECT_FALSE(valid(signed_in.access_token));
}

TEST_F(SignIn, an_address_is_one_whatever_its_case) {
    EXPECT_EQ(
        run(context, identity.create_user({"ADA@example.COM", "", ""}, "test")).error().code(),
        ErrorCode::already_exists);
    EXPECT_TRUE(run(context, identity.login("ADA@EXAMPLE.COM", password, "")).has_value());
    EXPECT_EQ(run(context, identity.create_user({"no address", "", ""}, "test")).error().code(),
              ErrorCode::invalid_argument);
    EXPECT_EQ(
        run(context, identity.create_user({"b@example.com", "", "short"}, "test")).error().code(),
        ErrorCode::invalid_argument);
}

TEST_F(SignIn, failures_are_the_same_for_unknown_users_and_delay_grows) {
    for (const std::string email : {"ada@example.com", "nobody@example.com"}) {
        for (int i = 0; i < 3; ++i)
            EXPECT_EQ(refused(email, "wrong password"), ErrorCode::unauthorized);
        EXPECT_EQ(refused(email, "wrong password"), ErrorCode::rate_limited);
    }
    // The right password does not get in either, until the delay is over.
    EXPECT_EQ(refused("ada@example.com", password), ErrorCode::rate_limited);
    clock.now += std::chrono::milliseconds(1001);
    EXPECT_EQ(refused("ada@example.com", "wrong password"), ErrorCode::unauthorized);
    clock.now += std::chrono::milliseconds(1001);
    EXPECT_EQ(refused("ada@example.com", "wrong password"), ErrorCode::rate_limited); // two now
    clock.now += std::chrono::milliseconds(1001);
    (void)sign_in();
    EXPECT_EQ(refused("ada@example.com", "wrong password"), ErrorCode::unauthorized); // anew
}

TEST_F(SignIn, a_refresh_token_is_good_for_once_and_its_second_use_ends_the_session) {
    const auto first = sign_in();
    const auto second = must(context, identity.refresh(first.refresh_token));
    EXPECT_EQ(second.session, first.session);
    EXPECT_NE(second.refresh_token, first.refresh_token);
    EXPECT_TRUE(valid(second.access_token));
    EXPECT_FALSE(run(context, identity.refresh(first.refresh_token)).has_value());
    EXPECT_FALSE(run(context, identity.refresh(second.refresh_token)).has_value());
    EXPECT_FALSE(valid(second.access_token));
    EXPECT_TRUE(valid(sign_in().access_token)); // another session is not touched
    EXPECT_FALSE(run(context, identity.refresh("nbr_nonsense")).has_value());
}

TEST_F(SignIn, a_session_ends_by_its_user_only_and_when_it_is_not_used) {
    const auto one = sign_in(), two = sign_in();
    EXPECT_EQ(run(context, identity.end_session("usr_other", one.session)).error().code(),
              ErrorCode::not_found);
    must(context, identity.end_session(user, one.session));
    EXPECT_FALSE(valid(one.access_token));
    EXPECT_TRUE(valid(two.access_token));
    EXPECT_EQ(must(context, identity.sessions(user, 10, "")).items.size(), 2u);
    clock.now += std::chrono::hours(24 * 31);
    EXPECT_FALSE(run(context, identity.refresh(two.refresh_token)).has_value());
    EXPECT_GT(must(context, data::remove_expired(records, Date{clock.utc_us() / 1000})), 0u);
    EXPECT_TRUE(must(context, identity.sessions(user, 10, "")).items.empty());
}

TEST_F(SignIn, a_disabled_user_is_out_at_once) {
    const auto signed_in = sign_in();
    must(context, identity.set_status(user, "disabled", "test"));
    EXPECT_FALSE(valid(signed_in.access_token));
    EXPECT_FALSE(run(context, identity.refresh(signed_in.refresh_token)).has_value());
    EXPECT_EQ(refused("ada@example.com", password), ErrorCode::unauthorized);
    must(context, identity.set_status(user, "active", "test"));
    (void)sign_in();
}

TEST_F(SignIn, a_password_changes_with_the_old_one_or_a_token_that_is_good_for_once) {
    const auto here = sign_in(), elsewhere = sign_in();
    const Caller caller = must(context, identity.authenticate("Bearer " + here.access_token));
    EXPECT_FALSE(run(context, identity.change_password(caller, "wrong one", "another one 1")));
    must(context, identity.change_password(caller, password, "another one 1"));
    EXPECT_TRUE(valid(here.access_token));
    EXPECT_FALSE(valid(elsewhere.access_token));
    EXPECT_EQ(refused("ada@example.com", password), ErrorCode::unauthorized);
    const std::string token = must(context, identity.allow_reset(user, "test"));
    must(context, identity.reset_password(token, password));
    EXPECT_FALSE(valid(here.access_token));
    EXPECT_FALSE(run(context, identity.reset_password(token, "yet another 1")));
    (void)sign_in();
    const std::string late = must(context, identity.allow_reset(user, "test"));
    clock.now += std::chrono::minutes(61);
    EXPECT_FALSE(run(context, identity.reset_password(late, "yet another 1")));
}

TEST_F(SignIn, a_hash_of_yesterdays_parameters_is_made_anew) {
    const auto hash = [&] {
        return std::string(
            must(context, identity.find_user(user))->at_path("passwordHash")->string_or());
    };
    EXPECT_TRUE(hash().starts_with("$argon2id$v=19$m=64,t=1,p=1$")) << hash();
    Identity stronger(records, clock, cheap(128));
    must(context, stronger.login("ada@example.com", password, ""));
    EXPECT_TRUE(hash().starts_with("$argon2id$v=19$m=128,t=1,p=1$")) << hash();
    must(context, stronger.login("ada@example.com", password, ""));
}

TEST_F(SignIn, a_token_outlives_the_rotation_of_its_key) {
    const std::string before =
        must(context, identity.sign("x", {{"acme", Role::viewer}}, std::chrono::hours(24 * 30)));
    EXPECT_EQ(must(context, identity.jwks()).at_path("keys")->get_if<Array>()->size(), 1u);
    clock.now += std::chrono::hours(24 * 29);
    const std::string late =
        must(context, identity.sign("x", {{"acme", Role::viewer}}, std::chrono::hours(24 * 30)));
    clock.now += std::chrono::hours(24 * 3);
    EXPECT_FALSE(valid(before));
    EXPECT_TRUE(valid(late));
    EXPECT_EQ(must(context, identity.jwks()).at_path("keys")->get_if<Array>()->size(), 2u);
    Identity another(records, clock, cheap()); // another process: it reads the keys
    EXPECT_TRUE(run(context, another.authenticate("Bearer " + late)).has_value());
}

TEST_F(SignIn, a_private_key_is_unreadable_without_its_passphrase) {
    const auto key = identity::SigningKey::generate("k");
    const std::string pem = key.pem("secret");
    EXPECT_NE(pem.find("ENCRYPTED"), std::string::npos);
    EXPECT_FALSE(identity::SigningKey::parse("k", pem, "guess").has_value());
    const auto again = identity::SigningKey::parse("k", pem, "secret");
    ASSERT_TRUE(again.has_value());
    const auto parsed = identity::parse_token(key.sign(Object{{"a", 1}}));
    ASSERT_TRUE(parsed.has_value());
    EXPECT_TRUE(again->verifies(parsed->signed_part, parsed->signature));
    EXPECT_FALSE(again->verifies(parsed->signed_part + "x", parsed->signature));
}

TEST_F(SignIn, an_api_key_is_a_role_in_one_domain_until_it_is_revoked) {
    const std::string key =
        must(context, identity.create_api_key("importer", "acme", Role::service, "test"));
    const Caller caller = must(context, identity.authenticate("Bearer " + key));
    EXPECT_EQ(caller.role_in("acme"), Role::service);
    EXPECT_FALSE(caller.role_in("umbra"));
    EXPECT_EQ(token_code(key.substr(0, key.size() - 1) + "!"), ErrorCode::unauthorized);
    must(context, identity.revoke_api_key(caller.subject, "test"));
    EXPECT_FALSE(valid(key));
}

TEST_F(SignIn, no_secret_lies_in_the_store_as_it_is_and_the_trail_names_what_was_done) {
    const auto signed_in = sign_in();
    (void)refused("ada@example.com", "wrong password");
    std::map<std::string, int> actions;
    for (const auto& entry :
         must(context, records.find({.collection = &data::audit, .limit = 500})).items)
        ++actions[std::string(entry->at_path("action")->string_or()) + " " +
                  std::string(entry->at_path("outcome")->string_or())];
    EXPECT_EQ(actions["user.create done"], 1);
    EXPECT_EQ(actions["role.set done"], 1);
    EXPECT_EQ(actions["sign_in done"], 1);
    EXPECT_EQ(actions["sign_in refused"], 1);
    const auto tokens = must(context, records.find({.collection = &data::refresh_tokens})).items;
    ASSERT_EQ(tokens.size(), 1u);
    EXPECT_EQ(record_id(*tokens.front()).find(signed_in.refresh_token), std::string::npos);
}

} // namespace
} // namespace netbuild::test
