// SPDX-License-Identifier: Apache-2.0
#pragma once
// The contract of ports/change_source.hpp, run on every adapter. An adapter's test instantiates the
// suite with a type that has `ChangeSource& source()`, `void commit()` (one more transaction that
// the source will give out; nothing where the history is fixed), and `transactions_min`.
#include <gtest/gtest.h>

#include "ports/change_source.hpp"
#include "support/run.hpp"

namespace netbuild::test {

inline void close(asio::io_context& context, ChangeSource& source) {
    must(context, [](ChangeSource& closed) -> awaitable<result<void>> {
        co_await closed.close();
        co_return result<void>{};
    }(source));
}

template <class Adapter>
class ChangeSourceContract : public testing::Test {
protected:
    ChangeSource& source() { return adapter.source(); }

    /// The snapshot's end, or zero where there is none.
    Position open(SourceStart start) {
        auto opened = run(context, source().open(start));
        // A server frees the stream a moment after its connection has ended.
        constexpr int attempts_max = 200;
        for (int attempt = 1;
             !opened && opened.error().code() == ErrorCode::slot_in_use && attempt < attempts_max;
             ++attempt) {
            close();
            must(context, clock.sleep(std::chrono::milliseconds(20)));
            opened = run(context, source().open(start));
        }
        auto snapshot = std::move(opened).value();
        if (!snapshot) return {};
        while (must(context, snapshot->next())) {
        }
        return snapshot->position();
    }
    /// Reads at least `count` transactions, or to the end.
    std::vector<Position> read(std::size_t count) {
        std::vector<Position> positions;
        while (positions.size() < count) {
            const ChangeBatch batch = must(context, source().next());
            for (const Transaction& one : batch.transactions) {
                EXPECT_FALSE(one.empty());
                EXPECT_GT(one.committed_at_us, 0);
                EXPECT_LE(one.position, batch.upto);
                positions.push_back(one.position);
            }
            if (batch.end) break;
        }
        return positions;
    }
    /// Enough of them, and the Position to start after.
    std::optional<Position> begin(std::uint32_t epoch = 0) {
        const Position snapshot = open({epoch, std::nullopt});
        for (std::size_t i = 0; i < Adapter::transactions_min; ++i)
            adapter.commit();
        return snapshot.is_zero() ? std::nullopt : std::optional(snapshot);
    }
    void close() { test::close(context, source()); }

    asio::io_context context;
    SystemClock clock;
    Adapter adapter{context};
};
TYPED_TEST_SUITE_P(ChangeSourceContract);

TYPED_TEST_P(ChangeSourceContract, says_who_it_is_and_stays_it) {
    const SourceIdentity identity = must(this->context, this->source().identify());
    EXPECT_FALSE(identity.kind.empty());
    EXPECT_FALSE(identity.system_identifier.empty());
    this->begin();
    EXPECT_EQ(must(this->context, this->source().identify()), identity);
    this->close();
}

TYPED_TEST_P(ChangeSourceContract, gives_each_transaction_once_in_commit_order_past_the_snapshot) {
    const auto after = this->begin();
    const auto positions = this->read(TypeParam::transactions_min);
    ASSERT_GE(positions.size(), TypeParam::transactions_min);
    for (std::size_t i = 1; i < positions.size(); ++i)
        EXPECT_LT(positions[i - 1], positions[i]);
    if (after) {
        EXPECT_GT(positions.front(), *after);
    }
    EXPECT_GE(must(this->context, this->source().end_of_history()), positions.back().lsn());
    this->close();
}

TYPED_TEST_P(ChangeSourceContract,
             opened_again_it_gives_what_was_not_confirmed_and_nothing_before) {
    this->begin();
    const auto all = this->read(TypeParam::transactions_min);
    const std::size_t middle = TypeParam::transactions_min / 2;
    this->source().confirm(all[middle]);
    this->close();
    this->open({0, all[middle]});
    const auto rest = this->read(TypeParam::transactions_min - middle - 1);
    ASSERT_FALSE(rest.empty());
    EXPECT_EQ(rest.front(), all[middle + 1]);
    this->close();
}

TYPED_TEST_P(ChangeSourceContract, to_resume_after_a_transaction_does_not_confirm_it) {
    this->begin();
    const auto all = this->read(TypeParam::transactions_min);
    const std::size_t middle = TypeParam::transactions_min / 2;
    this->source().confirm(all[0]);
    this->close();
    this->open({0, all[middle]});
    this->read(1);
    this->close();
    this->open({0, all[0]}); // where a process that is started now finds its checkpoint
    EXPECT_EQ(this->read(1).front(), all[1]);
    this->close();
}

TYPED_TEST_P(ChangeSourceContract, puts_the_epoch_into_every_position) {
    this->begin(3);
    for (const Position position : this->read(TypeParam::transactions_min))
        EXPECT_EQ(position.epoch(), 3u);
    this->close();
}

REGISTER_TYPED_TEST_SUITE_P(ChangeSourceContract, says_who_it_is_and_stays_it,
                            gives_each_transaction_once_in_commit_order_past_the_snapshot,
                            opened_again_it_gives_what_was_not_confirmed_and_nothing_before,
                            to_resume_after_a_transaction_does_not_confirm_it,
                            puts_the_epoch_into_every_position);

} // namespace netbuild::test
