// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "ports/cluster_bus.hpp"
#include "support/run.hpp"
#include "support/servers.hpp"

namespace netbuild::test {

using namespace std::chrono_literals;

/// What a ClusterBus does with keys of generations and with leases, whichever it is. `Fixture` has
/// bus(), which is connected, and pass(time).
template <class Fixture>
class ClusterKeysContract : public testing::Test {
protected:
    using Bus = ClusterBus;
    bool keep(const std::string& key, std::uint64_t generation, const std::string& value,
              std::chrono::milliseconds lifetime = 60s) {
        std::optional<result<bool>> kept;
        bus().keep(key, {generation, value}, lifetime,
                   [&](result<bool> answer) { kept.emplace(std::move(answer)); });
        while (!kept)
            context.run_one_for(10ms);
        return kept->value();
    }
    /// "generation:value", or "nothing".
    static std::string text(const std::optional<Bus::Versioned>& found) {
        return found ? std::to_string(found->generation) + ":" + found->value : "nothing";
    }
    std::string read(const std::string& key) { return text(must(context, bus().read(key))); }
    std::string raise(const std::string& key) { return text(must(context, bus().raise(key, 60s))); }
    Bus::LeaseTerms terms(const std::string& holder, std::chrono::milliseconds lifetime = 60s) {
        return {.key = "netbuild:test:" + name + ":{" + name + "}",
                .holder = holder,
                .lifetime = lifetime,
                .note_lifetime = 60s};
    }
    /// "holder generation note"
    std::string hold(const Bus::LeaseTerms& terms) {
        const auto lease = must(context, bus().hold(terms));
        return lease.holder + " " + std::to_string(lease.generation) + " " + lease.note;
    }
    bool send(const Bus::LeaseTerms& terms, std::uint64_t generation, const std::string& note,
              std::vector<Bus::Outgoing> messages = {}) {
        return must(context, bus().send_as_holder(terms, generation, note, std::move(messages)));
    }
    Bus& bus() { return fixture.bus(); }

    asio::io_context context;
    std::string name = unique_name("keys");
    Fixture fixture{context};
};

TYPED_TEST_SUITE_P(ClusterKeysContract);

TYPED_TEST_P(ClusterKeysContract, a_value_is_not_overwritten_by_one_of_an_earlier_generation) {
    const std::string key = "netbuild:test:" + this->name;
    EXPECT_EQ(this->read(key), "nothing");
    EXPECT_TRUE(this->keep(key, 2, "two"));
    EXPECT_FALSE(this->keep(key, 1, "late"));
    EXPECT_EQ(this->read(key), "2:two");
    EXPECT_TRUE(this->keep(key, 2, "two again"));
    EXPECT_TRUE(this->keep(key, 10, "ten")); // a number, and no text
    EXPECT_FALSE(this->keep(key, 9, "late"));
    EXPECT_EQ(this->read(key), "10:ten");
}

TYPED_TEST_P(ClusterKeysContract, raising_a_value_makes_late_whoever_had_it) {
    const std::string key = "netbuild:test:" + this->name;
    EXPECT_EQ(this->raise(key), "nothing");
    EXPECT_TRUE(this->keep(key, 1, "one"));
    EXPECT_EQ(this->raise(key), "2:one");
    EXPECT_EQ(this->raise(key), "3:one");
    EXPECT_FALSE(this->keep(key, 2, "late"));
    EXPECT_TRUE(this->keep(key, 3, "")); // forgotten
    EXPECT_EQ(this->raise(key), "nothing");
    EXPECT_FALSE(this->keep(key, 2, "late"));
}

TYPED_TEST_P(ClusterKeysContract, a_value_expires) {
    const std::string key = "netbuild:test:" + this->name;
    EXPECT_TRUE(this->keep(key, 5, "five", 50ms));
    this->fixture.pass(200ms);
    EXPECT_EQ(this->read(key), "nothing");
    EXPECT_TRUE(this->keep(key, 1, "one"));
}

TYPED_TEST_P(ClusterKeysContract, a_lease_has_one_holder_until_it_ends_or_is_given_back) {
    EXPECT_EQ(this->hold(this->terms("a", 100ms)), "a 1 ");
    EXPECT_EQ(this->hold(this->terms("b")), "a 1 ");
    EXPECT_EQ(this->hold(this->terms("a", 100ms)), "a 1 "); // renewed
    this->fixture.pass(300ms);
    EXPECT_EQ(this->hold(this->terms("b")), "b 2 ");
    EXPECT_EQ(this->hold(this->terms("a")), "b 2 ");
    must(this->context, this->bus().release(this->terms("a"))); // not its own
    EXPECT_EQ(this->hold(this->terms("a")), "b 2 ");
    must(this->context, this->bus().release(this->terms("b")));
    EXPECT_EQ(this->hold(this->terms("a")), "a 3 ");
}

TYPED_TEST_P(ClusterKeysContract, only_the_holder_sends_and_its_note_is_the_next_ones) {
    const std::string stream = this->name;
    const auto entry = [&](const std::string& value) {
        return ClusterBus::Outgoing{.to = ClusterBus::Outgoing::To::stream,
                                    .name = stream,
                                    .fields = {{"value", value}},
                                    .length_max = 100};
    };
    EXPECT_EQ(this->hold(this->terms("a", 100ms)), "a 1 ");
    EXPECT_TRUE(this->send(this->terms("a", 100ms), 1, "one", {entry("1"), entry("2")}));
    EXPECT_FALSE(this->send(this->terms("b"), 1, "no", {entry("no")}));
    this->fixture.pass(300ms);
    EXPECT_EQ(this->hold(this->terms("b")), "b 2 one");
    EXPECT_FALSE(this->send(this->terms("a"), 1, "late", {entry("late")}));
    EXPECT_TRUE(this->send(this->terms("b"), 2, "three", {entry("3")}));
    EXPECT_EQ(this->hold(this->terms("b")), "b 2 three");
    std::string all;
    for (const auto& each :
         must(this->context, this->bus().range(stream, "0-1", "9999999999999-0", 100)))
        all += each.fields.at(0).second + " ";
    EXPECT_EQ(all, "1 2 3 ");
}

REGISTER_TYPED_TEST_SUITE_P(ClusterKeysContract,
                            a_value_is_not_overwritten_by_one_of_an_earlier_generation,
                            raising_a_value_makes_late_whoever_had_it, a_value_expires,
                            a_lease_has_one_holder_until_it_ends_or_is_given_back,
                            only_the_holder_sends_and_its_note_is_the_next_ones);

} // namespace netbuild::test
