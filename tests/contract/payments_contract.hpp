// SPDX-License-Identifier: Apache-2.0
#pragma once
// What payments promise, on every store: an adapter's test instantiates the suite with a type that
// has `std::unique_ptr<RecordStore> open()`, each time a store of its own over the same data.
#include <csignal>
#include <map>

#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "data/idempotency_records.hpp"
#include "data/payment_records.hpp"
#include "data/schema.hpp"
#include "payments/payments.hpp"
#include "payments/verify_payments.hpp"
#include "support/mortal_records.hpp"
#include "support/run.hpp"
#include "wire/json.hpp"

namespace netbuild::test {

using payments::Action;

// The same collections without their guards, for who tampers with them.
inline constexpr Collection open_payment_events = [] {
    Collection open = data::payment_events;
    open.append_only = false;
    return open;
}();

/// Payments over one store.
struct Till {
    Till(asio::io_context& context_in, RecordStore& records_in)
        : context(context_in), records(records_in) {}

    static data::KeyedRequest request(std::string key, std::string_view path, const Object& body) {
        return {.subject = "tester",
                .key = std::move(key),
                .fingerprint = data::request_fingerprint("POST", path, body)};
    }
    awaitable<result<data::KeptAnswer>> creating(std::string key, std::int64_t amount) {
        const Object body{{"domainId", "acme"}, {"amount", amount}, {"currency", "EUR"}};
        return service.create(request(std::move(key), "/v1/payments", body), body);
    }
    awaitable<result<data::KeptAnswer>> acting(std::string key, Action action, std::string id,
                                               Object body = {}) {
        const std::string path = "/v1/payments/" + id + "/" + std::string(action_name(action));
        auto asked = request(std::move(key), path, body);
        return service.act(std::move(asked), action, std::move(id), std::move(body));
    }
    result<data::KeptAnswer> create(std::string key, std::int64_t amount) {
        return run(context, creating(std::move(key), amount));
    }
    result<data::KeptAnswer> act(std::string key, Action action, std::string id, Object body = {}) {
        return run(context, acting(std::move(key), action, std::move(id), std::move(body)));
    }
    std::string created(std::string key, std::int64_t amount) {
        return id_in(create(std::move(key), amount).value().body);
    }
    static std::string id_in(const std::string& body) {
        return std::string(parse_json(body)->at_path("id")->string_or());
    }
    payments::PaymentReport verify() {
        return must(context, payments::verify_payments(records, {}));
    }
    std::string status(std::string id) {
        return std::string(
            must(context, service.one(std::move(id)))->at_path("status")->string_or());
    }

    asio::io_context& context;
    RecordStore& records;
    SystemClock clock;
    Random random = Random::from_system();
    payments::Payments service{{records, clock, random}};
};

/// All of them at a time, in the order they were given.
inline std::vector<result<data::KeptAnswer>>
together(asio::io_context& context, std::vector<awaitable<result<data::KeptAnswer>>> tasks) {
    std::vector<std::optional<result<data::KeptAnswer>>> answers(tasks.size());
    std::size_t done = 0;
    for (std::size_t i = 0; i < tasks.size(); ++i)
        asio::co_spawn(context, std::move(tasks[i]),
                       [&, i](std::exception_ptr, result<data::KeptAnswer> answer) {
                           answers[i].emplace(std::move(answer));
                           ++done;
                       });
    context.restart();
    while (done < answers.size() && context.run_one() > 0) {
    }
    std::vector<result<data::KeptAnswer>> all;
    for (auto& answer : answers)
        all.push_back(std::move(answer.value()));
    return all;
}

template <class Adapter>
class PaymentsContract : public testing::Test {
protected:
    PaymentsContract() { must(context, data::apply_schema(*store, {})); }

    asio::io_context context;
    Adapter adapter;
    std::unique_ptr<RecordStore> store = adapter.open();
    Till till{context, *store};
};
TYPED_TEST_SUITE_P(PaymentsContract);

TYPED_TEST_P(PaymentsContract, a_key_gives_the_same_bytes_again_also_after_a_restart) {
    const auto first = this->till.create("k1", 1050);
    ASSERT_TRUE(first) << first.error().message();
    EXPECT_EQ(first->status, 201);
    const std::string id = Till::id_in(first->body);
    const auto captured = [&](Till& till) {
        return till.act("k3", Action::capture, id, {{"amount", std::int64_t{1000}}});
    };
    ASSERT_TRUE(this->till.act("k2", Action::authorize, id));
    const auto capture = captured(this->till);
    ASSERT_TRUE(capture) << capture.error().message();
    ASSERT_TRUE(this->till.act("k4", Action::refund, id));
    // The answers of then, whatever the payment is now.
    EXPECT_EQ(this->till.create("k1", 1050)->body, first->body);
    EXPECT_EQ(captured(this->till)->body, capture->body);
    const auto other_store = this->adapter.open();
    Till restarted(this->context, *other_store);
    EXPECT_EQ(restarted.create("k1", 1050)->body, first->body);
    EXPECT_EQ(captured(restarted)->body, capture->body);
    EXPECT_EQ(captured(restarted)->status, 200);
    EXPECT_EQ(restarted.status(id), "refunded");
    const auto report = restarted.verify();
    EXPECT_EQ(report.payments, 1u);
    EXPECT_EQ(report.events, 4u);
    EXPECT_EQ(report.fault_count, 0u);
}

TYPED_TEST_P(PaymentsContract, a_key_stands_for_one_body_and_one_caller) {
    const std::string id = this->till.created("k1", 1050);
    for (const auto& answer :
         {this->till.create("k1", 1051), this->till.act("k1", Action::authorize, id)}) {
        ASSERT_FALSE(answer);
        EXPECT_EQ(answer.error().code(), ErrorCode::conflict);
        EXPECT_TRUE(answer.error().detail().starts_with("Idempotency-Key: "));
    }
    // Members in another order are the same body.
    const Object turned{{"currency", "EUR"}, {"amount", std::int64_t{1050}}, {"domainId", "acme"}};
    auto request = Till::request("k1", "/v1/payments", turned);
    EXPECT_EQ(Till::id_in(run(this->context, this->till.service.create(request, turned))->body),
              id);
    request.subject = "another";
    EXPECT_NE(Till::id_in(run(this->context, this->till.service.create(request, turned))->body),
              id);
}

TYPED_TEST_P(PaymentsContract, a_refusal_is_the_keys_answer_too) {
    const std::string id = this->till.created("k1", 100);
    const auto refused = this->till.act("k2", Action::capture, id);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code(), ErrorCode::conflict);
    ASSERT_TRUE(this->till.act("k3", Action::authorize, id));
    const auto again = this->till.act("k2", Action::capture, id);
    ASSERT_FALSE(again);
    EXPECT_EQ(again.error().message(), refused.error().message());
    EXPECT_EQ(this->till.status(id), "authorized");
    // What was wrong with the request itself leaves the key as new.
    EXPECT_EQ(
        this->till.act("k4", Action::capture, id, {{"amount", std::int64_t{101}}}).error().code(),
        ErrorCode::invalid_argument);
    EXPECT_TRUE(this->till.act("k4", Action::capture, id));
}

TYPED_TEST_P(PaymentsContract, what_no_payment_may_be_is_refused_with_the_field_named) {
    const auto field = [&](Object more) {
        Object body{{"domainId", "acme"}, {"amount", std::int64_t{100}}, {"currency", "EUR"}};
        for (auto& member : more)
            body.set(member.key, std::move(member.value));
        const auto answer =
            run(this->context,
                this->till.service.create(Till::request("k", "/v1/payments", body), body));
        if (answer || answer.error().code() != ErrorCode::invalid_argument)
            return std::string("accepted");
        return answer.error().detail().substr(0, answer.error().detail().find(':'));
    };
    EXPECT_EQ(field({{"currency", "eur"}}), "currency");
    EXPECT_EQ(field({{"currency", "XXX"}}), "currency");
    EXPECT_EQ(field({{"amount", std::int64_t{0}}}), "amount");
    EXPECT_EQ(field({{"amount", std::int64_t{-5}}}), "amount");
    EXPECT_EQ(field({{"amount", std::int64_t{1'000'000'000'000}}}), "amount");
    EXPECT_EQ(field({{"exponent", std::int64_t{3}}}), "exponent");
    EXPECT_EQ(field({{"metadata", "text"}}), "metadata");
    EXPECT_EQ(field({{"metadata", Object{{"pan", "4111 1111 1111 1111"}}}}), "metadata.pan");
    EXPECT_EQ(field({{"exponent", std::int64_t{2}}}), "accepted");
    EXPECT_EQ(this->till.verify().payments, 1u);
}

TYPED_TEST_P(PaymentsContract, parallel_retries_do_it_once_and_all_get_the_same_bytes) {
    constexpr std::size_t callers = 24;
    const auto other_store = this->adapter.open(); // another process
    Till other(this->context, *other_store);
    const auto at_once = [&](auto ask) {
        std::vector<awaitable<result<data::KeptAnswer>>> tasks;
        for (std::size_t i = 0; i < callers; ++i)
            tasks.push_back(ask(i % 2 == 0 ? this->till : other));
        return together(this->context, std::move(tasks));
    };
    const auto all_equal = [&](const std::vector<result<data::KeptAnswer>>& answers) {
        for (const auto& answer : answers) {
            ASSERT_TRUE(answer) << answer.error().message();
            EXPECT_EQ(answer->body, answers.front()->body);
            EXPECT_EQ(answer->status, answers.front()->status);
        }
    };
    const auto created = at_once([](Till& till) { return till.creating("k1", 1000); });
    all_equal(created);
    const std::string id = Till::id_in(created.front()->body);
    all_equal(at_once([&](Till& till) { return till.acting("k2", Action::authorize, id); }));
    all_equal(at_once([&](Till& till) { return till.acting("k3", Action::capture, id); }));
    all_equal(at_once([&](Till& till) {
        return till.acting("k4", Action::refund, id, {{"amount", std::int64_t{10}}});
    }));
    const auto report = this->till.verify();
    EXPECT_EQ(report.payments, 1u);
    EXPECT_EQ(report.events, 4u);
    EXPECT_EQ(report.fault_count, 0u);
}

TYPED_TEST_P(PaymentsContract, callers_with_keys_of_their_own_share_a_payment_without_losing_any) {
    const auto other_store = this->adapter.open();
    Till other(this->context, *other_store);
    const std::string id = this->till.created("k1", 1000);
    ASSERT_TRUE(this->till.act("k2", Action::authorize, id));
    std::vector<awaitable<result<data::KeptAnswer>>> tasks;
    for (int i = 0; i < 6; ++i) // one of them wins, the others are told the state
        tasks.push_back(
            (i % 2 ? this->till : other).acting("c" + std::to_string(i), Action::capture, id));
    int captured = 0;
    for (const auto& answer : together(this->context, std::move(tasks))) {
        captured += answer.has_value();
        if (!answer)
            EXPECT_EQ(answer.error().code(), ErrorCode::conflict) << answer.error().message();
    }
    EXPECT_EQ(captured, 1);
    std::vector<awaitable<result<data::KeptAnswer>>> refunds;
    for (int i = 0; i < 12; ++i)
        refunds.push_back((i % 2 ? this->till : other)
                              .acting("r" + std::to_string(i), Action::refund, id,
                                      {{"amount", std::int64_t{100}}}));
    int refunded = 0;
    for (const auto& answer : together(this->context, std::move(refunds)))
        refunded += answer.has_value();
    EXPECT_EQ(refunded, 10); // ten hundreds and no more
    EXPECT_EQ(this->till.status(id), "refunded");
    EXPECT_EQ(this->till.verify().fault_count, 0u);
}

TYPED_TEST_P(PaymentsContract,
             a_store_that_fails_at_any_call_leaves_it_done_or_not_and_the_retry_tells) {
    using Moment = MortalRecords::Moment;
    int payments = 0;
    for (const bool mortal : {false, true}) {
        for (const Moment moment : {Moment::before, Moment::lost, Moment::after}) {
            for (int fatal = 0;; ++fatal) {
                const std::string name = "m" + std::to_string(mortal) +
                                         std::to_string(static_cast<int>(moment)) + "." +
                                         std::to_string(fatal);
                MortalRecords mortal_store(*this->store, fatal, moment, mortal);
                Till failing(this->context, mortal_store);
                const auto created = failing.create(name + "c", 500);
                const auto id = Till::id_in(this->till.create(name + "c", 500)->body); // the retry
                if (created) EXPECT_EQ(Till::id_in(created->body), id) << name;
                const auto authorized = failing.act(name + "a", Action::authorize, id);
                const auto refused = failing.act(name + "r", Action::refund, id);
                const auto retried = this->till.act(name + "a", Action::authorize, id);
                ASSERT_TRUE(retried) << name << retried.error().message();
                if (authorized) EXPECT_EQ(retried->body, authorized->body) << name;
                const auto refused_again = this->till.act(name + "r", Action::refund, id);
                EXPECT_EQ(refused_again.error().code(), ErrorCode::conflict) << name;
                const auto captured = failing.act(name + "p", Action::capture, id);
                const auto recaptured = this->till.act(name + "p", Action::capture, id);
                ASSERT_TRUE(recaptured) << name << recaptured.error().message();
                if (captured) EXPECT_EQ(recaptured->body, captured->body) << name;
                EXPECT_EQ(this->till.status(id), "captured");
                ++payments;
                if (!mortal_store.reached()) {
                    EXPECT_GE(fatal, 10) << "there are more calls than that";
                    break;
                }
                EXPECT_TRUE(!mortal || !captured) << name;
            }
        }
    }
    const auto report = this->till.verify();
    EXPECT_EQ(report.payments, static_cast<std::uint64_t>(payments));
    EXPECT_EQ(report.events, static_cast<std::uint64_t>(3 * payments));
    EXPECT_EQ(report.fault_count, 0u) << report.faults.front().what;
}

TYPED_TEST_P(PaymentsContract, whatever_many_callers_do_the_balances_are_their_events) {
    Random dice(20260101);
    std::vector<std::string> ids;
    for (int i = 0; i < 15; ++i)
        ids.push_back(this->till.created("p" + std::to_string(i),
                                         static_cast<std::int64_t>(1 + dice.below(1000))));
    constexpr Action actions[] = {Action::authorize, Action::capture, Action::refund,
                                  Action::refund,    Action::fail,    Action::cancel};
    int key = 0, done = 0;
    for (int round = 0; round < 25; ++round) {
        std::vector<awaitable<result<data::KeptAnswer>>> tasks;
        for (int i = 0; i < 6; ++i) {
            // Few keys: some are retries, some are misused.
            const Action action = actions[dice.below(round < 12 ? 4 : 6)];
            Object body;
            if (payments::action_fields(action).front().name == "amount" && dice.below(3) > 0)
                body.set("amount", static_cast<std::int64_t>(dice.below(400)));
            const std::string name = "k" + std::to_string(key - static_cast<int>(dice.below(3)));
            ++key;
            tasks.push_back(
                this->till.acting(name, action, ids[dice.below(ids.size())], std::move(body)));
        }
        for (const auto& answer : together(this->context, std::move(tasks))) {
            done += answer.has_value();
            if (!answer) {
                const ErrorCode code = answer.error().code();
                EXPECT_TRUE(code == ErrorCode::conflict || code == ErrorCode::invalid_argument)
                    << answer.error().message();
            }
        }
        const auto report = this->till.verify();
        ASSERT_EQ(report.fault_count, 0u) << report.faults.front().what;
    }
    EXPECT_GE(done, 10); // the rest is misused keys and what no state allows
}

TYPED_TEST_P(PaymentsContract, verify_names_what_was_done_behind_our_back) {
    std::vector<std::string> ids;
    for (int i = 0; i < 8; ++i) {
        ids.push_back(this->till.created("k" + std::to_string(i), 1000));
        ASSERT_TRUE(this->till.act("a" + std::to_string(i), Action::authorize, ids.back()));
        ASSERT_TRUE(this->till.act("c" + std::to_string(i), Action::capture, ids.back()));
    }
    ASSERT_EQ(this->till.verify().fault_count, 0u);
    const auto commit = [&](RecordWrite write) {
        must(this->context, this->store->commit(std::move(write)));
    };
    const auto event = [&](int payment, int number) {
        return must(
            this->context,
            this->store->one(open_payment_events,
                             payments::event_id(ids[static_cast<std::size_t>(payment)], number)));
    };
    const auto edit = [](const Value& record, std::string_view field, Value value) {
        Object body = record_body(record);
        body.set(field, std::move(value));
        return body;
    };
    // 0: a balance; 1: an event removed; 2: an amount; 3: an event added; 4: the payment removed;
    // 5: the events removed; 6: the status.
    const auto payment = [&](std::size_t i) {
        return must(this->context, this->store->one(data::payments, ids[i]));
    };
    const auto replace = [&](std::size_t i, std::string_view field, Value value) {
        const auto record = payment(i);
        commit(RecordWrite::replace(data::payments, ids[i], record_version(*record),
                                    edit(*record, field, std::move(value))));
    };
    replace(0, "captured", std::int64_t{2000});
    commit(RecordWrite::erase(open_payment_events, payments::event_id(ids[1], 2), 1));
    commit(RecordWrite::replace(open_payment_events, payments::event_id(ids[2], 3), 1,
                                edit(*event(2, 3), "amount", std::int64_t{999})));
    Object added = record_body(*event(3, 3));
    added.set("number", std::int64_t{4});
    commit(RecordWrite::insert(open_payment_events, payments::event_id(ids[3], 4), added));
    commit(RecordWrite::erase(data::payments, ids[4], 3));
    for (int number = 1; number <= 3; ++number)
        commit(RecordWrite::erase(open_payment_events, payments::event_id(ids[5], number), 1));
    replace(6, "status", "authorized");
    const auto report = this->till.verify();
    std::map<std::string, std::string> faults;
    for (const auto& fault : report.faults)
        faults[fault.payment_id] = fault.what;
    EXPECT_EQ(report.fault_count, 7u);
    EXPECT_EQ(faults.size(), 7u);
    EXPECT_FALSE(faults.contains(ids[7]));
    EXPECT_EQ(faults[ids[1]], "event 2 is missing");
    EXPECT_EQ(faults[ids[2]], "event 3: was changed");
    EXPECT_EQ(faults[ids[4]], "there are 3 events and no payment");
    EXPECT_EQ(faults[ids[5]], "it has no events");
}

TYPED_TEST_P(PaymentsContract, a_key_is_forgotten_after_its_time) {
    const std::string id = this->till.created("k1", 100);
    const Date soon{this->till.clock.utc_us() / 1000 + 23 * 3600 * 1000};
    const Date later{soon.milliseconds + 2 * 3600 * 1000};
    const auto remove = [&](Date now) {
        return must(this->context, this->store->remove_expired(data::idempotency_keys, now, 100));
    };
    EXPECT_EQ(remove(soon), 0u);
    EXPECT_EQ(this->till.created("k1", 100), id);
    EXPECT_EQ(remove(later), 1u);
    EXPECT_NE(this->till.created("k1", 100), id);
}

/// A process that writes payments as fast as it can until it is killed.
template <class Adapter>
[[noreturn]] void write_until_killed(Adapter& adapter, int out, const std::string& round) {
    {
        asio::io_context context;
        const auto store = adapter.open();
        Till till(context, *store);
        for (int i = 0;; ++i) {
            const std::string name = round + "." + std::to_string(i);
            const auto tell = [&](const std::string& key, const result<data::KeptAnswer>& answer) {
                const std::string line = key + " " + (answer ? answer->body : "failed") + "\n";
                if (write(out, line.data(), line.size()) < 0) _exit(1);
            };
            const auto created = till.create(name + "c", 100 + i);
            tell(name + "c", created);
            if (!created) _exit(1);
            const std::string id = Till::id_in(created->body);
            tell(name + "a", till.act(name + "a", Action::authorize, id));
            tell(name + "p", till.act(name + "p", Action::capture, id));
        }
    }
}

TYPED_TEST_P(PaymentsContract, kill_9_in_the_middle_of_writes_leaves_each_done_or_not) {
    this->store.reset(); // no thread of ours is in the child
    Random dice(7);
    std::map<std::string, std::string> told;
    constexpr int rounds = 8;
    for (int round = 0; round < rounds; ++round) {
        int ends[2];
        ASSERT_EQ(pipe(ends), 0);
        const pid_t child = fork();
        ASSERT_GE(child, 0);
        if (child == 0) {
            close(ends[0]);
            write_until_killed(this->adapter, ends[1], "r" + std::to_string(round));
        }
        close(ends[1]);
        // It is killed at whatever it does when it has told so much.
        FILE* lines = fdopen(ends[0], "r");
        char line[4096];
        const auto wanted = 3 + dice.below(20);
        for (std::uint64_t i = 0; i < wanted && fgets(line, sizeof line, lines); ++i) {
            const std::string text(line);
            const auto space = text.find(' ');
            told[text.substr(0, space)] = text.substr(space + 1, text.size() - space - 2);
        }
        kill(child, SIGKILL);
        // What it told and we had not read yet counts as well.
        while (fgets(line, sizeof line, lines)) {
            const std::string text(line);
            const auto space = text.find(' ');
            if (text.back() == '\n')
                told[text.substr(0, space)] = text.substr(space + 1, text.size() - space - 2);
        }
        fclose(lines);
        int status = 0;
        waitpid(child, &status, 0);
        EXPECT_TRUE(WIFSIGNALED(status)) << "it ended by itself";
    }
    this->store = this->adapter.open();
    Till till(this->context, *this->store);
    auto report = till.verify();
    ASSERT_EQ(report.fault_count, 0u) << report.faults.front().what;
    ASSERT_GE(told.size(), static_cast<std::size_t>(3 * rounds));
    // Each round goes on with the keys that it had: what was told is told again, the rest is done.
    for (int round = 0; round < rounds; ++round) {
        for (int i = 0;; ++i) {
            const std::string name = "r" + std::to_string(round) + "." + std::to_string(i);
            const auto same = [&](const std::string& key, const result<data::KeptAnswer>& answer) {
                ASSERT_TRUE(answer) << key << answer.error().message();
                if (told.contains(key)) EXPECT_EQ(answer->body, told[key]) << key;
            };
            const auto created = till.create(name + "c", 100 + i);
            same(name + "c", created);
            const std::string id = Till::id_in(created->body);
            same(name + "a", till.act(name + "a", Action::authorize, id));
            same(name + "p", till.act(name + "p", Action::capture, id));
            EXPECT_EQ(till.status(id), "captured");
            if (!told.contains(name + "p")) break;
        }
    }
    report = till.verify();
    EXPECT_EQ(report.events, 3 * report.payments);
    EXPECT_EQ(report.fault_count, 0u);
}

REGISTER_TYPED_TEST_SUITE_P(
    PaymentsContract, a_key_gives_the_same_bytes_again_also_after_a_restart,
    a_key_stands_for_one_body_and_one_caller, a_refusal_is_the_keys_answer_too,
    what_no_payment_may_be_is_refused_with_the_field_named,
    parallel_retries_do_it_once_and_all_get_the_same_bytes,
    callers_with_keys_of_their_own_share_a_payment_without_losing_any,
    a_store_that_fails_at_any_call_leaves_it_done_or_not_and_the_retry_tells,
    whatever_many_callers_do_the_balances_are_their_events,
    verify_names_what_was_done_behind_our_back, a_key_is_forgotten_after_its_time,
    kill_9_in_the_middle_of_writes_leaves_each_done_or_not);

} // namespace netbuild::test
