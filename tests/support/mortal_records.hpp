// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <gtest/gtest.h>

#include "ports/record_store.hpp"
#include "wire/base64url.hpp"
#include "wire/bson.hpp"

namespace netbuild::test {

/// A store that fails at one call, and, if it is mortal, at every one after it.
class MortalRecords final : public RecordStore {
public:
    enum class Moment : unsigned char {
        /// The call does not reach the store: unavailable.
        before,
        /// Nor does this one, but nobody knows: outcome_unknown.
        lost,
        /// The store does it, and the answer is lost: outcome_unknown.
        after,
    };
    MortalRecords(RecordStore& store, int fatal, Moment moment, bool mortal)
        : store_(store), fatal_(fatal), moment_(moment), mortal_(mortal) {}

    [[nodiscard]] bool reached() const { return calls_ > fatal_; }

    awaitable<result<void>> ping() override { return store_.ping(); }
    awaitable<result<std::vector<SchemaChange>>>
    schema_changes(std::span<const Collection> collections) override {
        return store_.schema_changes(collections);
    }
    awaitable<result<void>> apply(SchemaChange change, SchemaProgress progress) override {
        return store_.apply(std::move(change), std::move(progress));
    }
    awaitable<result<std::vector<ValuePtr>>> get(const Collection& collection,
                                                 std::vector<std::string> ids) override {
        const Collection* from = &collection;
        if (fails()) co_return away();
        co_return co_await store_.get(*from, std::move(ids));
    }
    awaitable<result<std::uint64_t>> remove_expired(const Collection& collection, Date now,
                                                    std::size_t limit) override {
        return store_.remove_expired(collection, now, limit);
    }
    awaitable<result<Remains>> forget_removed() override { return store_.forget_removed(); }

protected:
    awaitable<result<void>> write(std::vector<RecordWrite> writes) override {
        const bool dead = mortal_ && calls_ > fatal_;
        if (!fails()) co_return co_await store_.commit(std::move(writes));
        if (dead || moment_ == Moment::before) co_return away();
        if (moment_ == Moment::after) CO_TRY_VOID(co_await store_.commit(std::move(writes)));
        co_return fail(ErrorCode::outcome_unknown, "the connection is gone");
    }
    awaitable<result<std::vector<ValuePtr>>> walk(Plan plan) override {
        if (fails()) co_return away();
        RecordQuery query{.collection = plan.collection,
                          .where = plan.where,
                          .descending = plan.descending,
                          .limit = std::min(plan.limit, RecordQuery::limit_max)};
        for (const std::string_view key : plan.keys)
            if (key != "_id") query.sort.push_back(key);
        if (!plan.from.empty())
            query.after = encode_base64url(
                encode_bson(Object{{"k", Array(plan.from.begin(), plan.from.end())}}));
        CO_TRY(RecordPage page, co_await store_.find(std::move(query)));
        co_return std::move(page.items);
    }

private:
    bool fails() {
        const int call = calls_++;
        return call == fatal_ || (mortal_ && call > fatal_);
    }
    static Error away() { return fail(ErrorCode::unavailable, "the store is away"); }

    RecordStore& store_;
    int fatal_;
    Moment moment_;
    bool mortal_;
    int calls_ = 0;
};

} // namespace netbuild::test
