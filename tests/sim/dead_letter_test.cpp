// SPDX-License-Identifier: Apache-2.0
// A transaction that cannot be projected: noticed, tried again, kept as a dead letter, and by
// policy the end of the capture or left out; and tried again later.
#include <gtest/gtest.h>

#include "memory/memory_bus.hpp"
#include "memory/memory_spill.hpp"
#include "memory/memory_store.hpp"
#include "model/collections.hpp"
#include "simulator/simulator_source.hpp"
#include "support/run.hpp"
#include "sync/content_hash.hpp"
#include "sync/pipeline.hpp"
#include "wire/rows.hpp"

namespace netbuild::test {
namespace {

using camunda::Table;

void copy_rows(const Transaction& from, Transaction& to) {
    to.position = from.position;
    to.committed_at_us = from.committed_at_us;
    for (std::size_t i = 0; i < from.size(); ++i)
        to.add(from.row(i).table, from.row(i).operation, from.row(i).cells);
}

/// Gives a history out, one transaction a batch, `part_rows` rows a part; then `end` or nothing.
class ListSource final : public ChangeSource {
public:
    ListSource(const std::vector<Transaction>& list, Clock& clock) : list_(list), clock_(clock) {}
    awaitable<result<SourceIdentity>> identify() override {
        co_return SourceIdentity{"wal", "1", 1};
    }
    awaitable<result<Lsn>> end_of_history() override { co_return list_.back().position.lsn(); }
    awaitable<result<std::unique_ptr<EngineSnapshot>>> open(SourceStart start) override {
        ++opened;
        for (next_ = 0; next_ < list_.size(); ++next_)
            if (!start.after || list_[next_].position > *start.after) break;
        co_return std::unique_ptr<EngineSnapshot>();
    }
    awaitable<result<ChangeBatch>> next() override {
        ChangeBatch batch;
        if (next_ < list_.size()) {
            batch.upto = list_[next_].position;
            batch.transactions.emplace_back();
            copy_rows(list_[next_++], batch.transactions.back());
            if (in_parts) { // all of it in one part, and an empty end
                Transaction last;
                last.position = batch.upto;
                last.committed_at_us = batch.transactions.back().committed_at_us;
                last.extent = Extent::last;
                batch.transactions.back().extent = Extent::part;
                batch.transactions.push_back(std::move(last));
            }
            co_return batch;
        }
        batch.upto = list_.back().position;
        batch.end = true;
        while (!may_end)
            CO_TRY_VOID(co_await clock_.sleep(std::chrono::milliseconds(1)));
        co_return batch;
    }
    void confirm(Position durable) override { confirmed = std::max(confirmed, durable); }
    awaitable<void> close() override { co_return; }
    awaitable<result<std::unique_ptr<EngineSnapshot>>> snapshot(SnapshotTaken) override {
        co_return std::unique_ptr<EngineSnapshot>();
    }

    Position confirmed;
    bool in_parts = false;
    bool may_end = true;
    int opened = 0;

private:
    const std::vector<Transaction>& list_;
    Clock& clock_;
    std::size_t next_ = 0;
};

std::vector<Transaction> simulated() {
    asio::io_context context;
    SystemClock clock;
    SimulatorSource simulator(
        {.seed = 4, .instances = 4, .tenants = 1, .start_at_us = 1'700'000'000'000'000}, clock);
    must(context, simulator.open({}));
    std::vector<Transaction> list;
    for (bool end = false; !end;) {
        auto batch = must(context, simulator.next());
        end = batch.end;
        for (auto& one : batch.transactions)
            list.push_back(std::move(one));
    }
    return list;
}

/// The index of a transaction that inserts a process instance, whose start is then unreadable.
std::size_t spoil(std::vector<Transaction>& list, std::size_t nth) {
    for (std::size_t at = 0; at < list.size(); ++at) {
        for (std::size_t i = 0; i < list[at].size(); ++i) {
            const Row row = list[at].row(i);
            if (row.table != Table::hi_procinst || row.operation != RowOperation::insert) continue;
            if (nth-- != 0) break;
            Transaction spoiled;
            spoiled.position = list[at].position;
            spoiled.committed_at_us = list[at].committed_at_us;
            for (std::size_t k = 0; k < list[at].size(); ++k) {
                const Row copied = list[at].row(k);
                std::vector<Cell> cells(copied.cells.begin(), copied.cells.end());
                if (k == i) {
                    cells[static_cast<std::size_t>(camunda::hi_procinst::start_time)].text =
                        "last Tuesday";
                }
                spoiled.add(copied.table, copied.operation, cells);
            }
            list[at] = std::move(spoiled);
            return at;
        }
    }
    ADD_FAILURE() << "no such process instance";
    return 0;
}

class DeadLetter : public testing::Test {
protected:
    result<void> live(sync::Poison poison) {
        Random random(1);
        sync::PipelineOptions options;
        options.poison = poison;
        options.retry_first = options.retry_max = std::chrono::milliseconds(1);
        options.letters_interval = std::chrono::milliseconds(1);
        options.piece_documents_max = piece_documents;
        sync::Pipeline pipeline(
            options, {source, store, bus, clock, random, context.get_executor(), &spill}, progress);
        return run(context, pipeline.run());
    }
    std::vector<ValuePtr> letters() {
        Query query;
        query.collection = collections::dead_letters;
        return must(context, store.find(query));
    }
    std::string status_of(const Value& letter) {
        return std::string(letter.at_path("status")->string_or());
    }
    ValuePtr execution(std::string_view id) {
        return must(context, store.get(collections::workflow_executions, {std::string(id)}))
            .front();
    }
    std::string_view instance_at(std::size_t index) {
        for (std::size_t i = 0;; ++i) {
            const Row row = list[index].row(i);
            if (row.table == Table::hi_procinst) return row.text(camunda::hi_procinst::id);
        }
    }
    /// As `netbuild deadletter retry` asks for it.
    void ask(const Value& letter) {
        Object asked = *letter.get_if<Object>();
        const std::int64_t revision = letter.at_path("sync.lsn")->integer_or() + 1;
        asked.set("status", "retry");
        asked.set("sync", Object{{"lsn", revision}});
        auto batch = std::make_shared<ApplyBatch>();
        DocumentWrite write;
        write.collection = collections::dead_letters;
        write.id = letter.at_path("_id")->string_or();
        write.lsn = static_cast<std::uint64_t>(revision);
        write.body = std::make_shared<const Value>(std::move(asked));
        batch->documents.push_back(std::move(write));
        must(context, store.apply(batch));
    }
    /// Runs the capture until the letter is answered.
    void live_until_answered() {
        source.may_end = false;
        asio::co_spawn(
            context,
            [](DeadLetter& test) -> awaitable<void> {
                Query query;
                query.collection = collections::dead_letters;
                query.filter.all.push_back({"status", Condition::Operator::equal, "retry"});
                while (true) {
                    const auto left = co_await test.store.find(query);
                    if (left && left->empty()) break;
                    (void)co_await test.clock.sleep(std::chrono::milliseconds(1));
                }
                test.source.may_end = true;
            }(*this),
            [](const std::exception_ptr& escaped) {
                if (escaped) std::rethrow_exception(escaped);
            });
        ASSERT_TRUE(live(sync::Poison::skip));
    }

    asio::io_context context;
    SystemClock clock;
    std::vector<Transaction> list = simulated();
    MemoryStore store;
    MemoryBus bus{context.get_executor(), clock, {.events_max = 1'000'000}};
    MemorySpill spill;
    std::size_t piece_documents = 512;
    ListSource source{list, clock};
    sync::Progress progress{context.get_executor(), clock};
};

TEST_F(DeadLetter, stop_ends_the_capture_before_the_transaction_and_keeps_its_rows) {
    const std::size_t bad = spoil(list, 2);
    const auto outcome = live(sync::Poison::stop);
    ASSERT_FALSE(outcome);
    EXPECT_EQ(outcome.error().code(), ErrorCode::corrupt);
    EXPECT_NE(outcome.error().detail().find("act_hi_procinst.start_time_"), std::string::npos)
        << outcome.error().detail();
    EXPECT_EQ(outcome.error().detail().find("Tuesday"), std::string::npos) << "a value in a log";
    EXPECT_EQ(source.confirmed, list[bad - 1].position);
    EXPECT_EQ(progress.applied, list[bad - 1].position) << "all before it is durable";
    EXPECT_EQ(execution(instance_at(bad)), nullptr);
    ASSERT_EQ(letters().size(), 1u);
    const Value& letter = *letters().front();
    EXPECT_EQ(status_of(letter), "stopped");
    EXPECT_EQ(letter.at_path("_id")->string_or(), to_string(list[bad].position));
    EXPECT_EQ(letter.at_path("attempts")->integer_or(), 3);
    EXPECT_GT(letter.at_path("at")->get_if<Date>()->milliseconds, 0);

    const auto rows = must(
        context, store.get(collections::dead_letter_rows, {to_string(list[bad].position) + "/0"}));
    RowReader reader(rows.front()->at_path("bytes")->get_if<Binary>()->bytes);
    for (std::size_t i = 0; i < list[bad].size(); ++i) {
        const auto row = reader.next().value();
        ASSERT_TRUE(row);
        EXPECT_EQ(row->table, list[bad].row(i).table);
        for (std::size_t k = 0; k < row->cells.size(); ++k) {
            EXPECT_EQ(row->cells[k].kind, list[bad].row(i).cells[k].kind);
            EXPECT_EQ(row->cells[k].text, list[bad].row(i).cells[k].text);
        }
    }
    EXPECT_FALSE(reader.next().value());

    ASSERT_FALSE(live(sync::Poison::stop)) << "again after a restart";
    EXPECT_EQ(letters().front()->at_path("attempts")->integer_or(), 6);
}

TEST_F(DeadLetter, skip_leaves_out_that_transaction_only) {
    // The last instance's start: its later transactions find no document, all others are right.
    MemoryStore whole;
    {
        ASSERT_TRUE(live(sync::Poison::stop));
        std::swap(whole, store);
        source.confirmed = {};
        must(context, bus.trim_before({UINT64_MAX, 0}));
    }
    const std::size_t bad = spoil(list, 1);
    ASSERT_TRUE(live(sync::Poison::skip));
    EXPECT_EQ(source.confirmed, list.back().position);
    EXPECT_EQ(progress.dead_letters, 1u);
    ASSERT_EQ(letters().size(), 1u);
    EXPECT_EQ(status_of(*letters().front()), "skipped");
    Query all;
    all.collection = collections::workflow_executions;
    const auto expected = must(context, whole.find(all));
    ASSERT_EQ(expected.size(), 4u);
    for (const ValuePtr& document : expected) {
        const std::string id(document->at_path("_id")->string_or());
        const ValuePtr found = execution(id);
        if (id == instance_at(bad)) {
            EXPECT_EQ(found, nullptr);
        } else {
            ASSERT_NE(found, nullptr);
            EXPECT_EQ(*found, *document);
        }
    }
}

TEST_F(DeadLetter, a_retry_projects_it_when_the_fault_is_gone) {
    std::vector<Transaction> good = simulated();
    const std::size_t bad = spoil(list, 3);
    list.resize(bad + 1); // nothing touches the instance later
    ASSERT_TRUE(live(sync::Poison::skip));
    ASSERT_EQ(execution(instance_at(bad)), nullptr);
    ask(*letters().front());
    live_until_answered();
    EXPECT_EQ(status_of(*letters().front()), "skipped") << "the value is as it was";
    EXPECT_NE(letters().front()->at_path("answer")->string_or().find("start_time_"),
              std::string::npos);
    EXPECT_EQ(execution(instance_at(bad)), nullptr);

    // A newer version could read it: here the rows are put right instead.
    std::string rows;
    for (std::size_t i = 0; i < good[bad].size(); ++i)
        append_row(rows, good[bad].row(i));
    auto mended = std::make_shared<ApplyBatch>();
    DocumentWrite write;
    write.collection = collections::dead_letter_rows;
    write.id = to_string(list[bad].position) + "/0";
    write.lsn = 1000;
    write.body = std::make_shared<const Value>(
        Object{{"_id", write.id}, {"bytes", Binary{rows}}, {"sync", Object{{"lsn", 1000}}}});
    mended->parts.push_back(std::move(write));
    must(context, store.apply(mended));
    ask(*letters().front());
    live_until_answered();
    EXPECT_EQ(status_of(*letters().front()), "projected")
        << letters().front()->at_path("answer")->string_or();
    EXPECT_EQ(progress.dead_letters, 0u);

    MemoryStore whole;
    std::swap(whole, store);
    good.resize(bad + 1);
    list = std::move(good);
    source.confirmed = {};
    ASSERT_TRUE(live(sync::Poison::stop));
    EXPECT_EQ(must(context, sync::content_hash(whole)).sha256,
              must(context, sync::content_hash(store)).sha256);
}

TEST_F(DeadLetter, a_retry_of_what_was_changed_later_is_refused_and_says_what_mends_it) {
    // A later transaction of the instance that was skipped in part: its update, not its start.
    std::size_t bad = 0;
    std::string id;
    for (std::size_t at = 0; at + 1 < list.size() && bad == 0; ++at) {
        for (std::size_t i = 0; i < list[at].size(); ++i) {
            const Row row = list[at].row(i);
            if (row.table != Table::hi_taskinst || row.operation != RowOperation::update) continue;
            Transaction spoiled;
            spoiled.position = list[at].position;
            spoiled.committed_at_us = list[at].committed_at_us;
            for (std::size_t k = 0; k < list[at].size(); ++k) {
                std::vector<Cell> cells(list[at].row(k).cells.begin(), list[at].row(k).cells.end());
                if (k == i) {
                    cells[static_cast<std::size_t>(camunda::hi_taskinst::priority)] = {
                        Cell::Kind::text, "fifty"};
                    id = row.text(camunda::hi_taskinst::proc_inst_id);
                }
                spoiled.add(list[at].row(k).table, list[at].row(k).operation, cells);
            }
            list[at] = std::move(spoiled);
            bad = at;
            break;
        }
    }
    ASSERT_GT(bad, 0u);
    ASSERT_TRUE(live(sync::Poison::skip));
    const ValuePtr before = execution(id);
    ASSERT_GT(static_cast<std::uint64_t>(before->at_path("sync.lsn")->integer_or()),
              list[bad].position.number);
    ask(*letters().front());
    live_until_answered();
    EXPECT_EQ(status_of(*letters().front()), "skipped");
    EXPECT_NE(letters().front()->at_path("answer")->string_or().find("netbuild resync --instance"),
              std::string::npos);
    EXPECT_EQ(*execution(id), *before);
}

TEST_F(DeadLetter, of_a_large_transaction_only_the_piece_is_left_out) {
    // All of it in one transaction in parts, one instance of it spoiled.
    const std::size_t bad = spoil(list, 2);
    const std::string spoiled(instance_at(bad));
    Transaction one;
    for (const Transaction& transaction : list)
        copy_rows(transaction, one);
    list.clear();
    list.push_back(std::move(one));
    source.in_parts = true;
    piece_documents = 3; // one process instance each
    ASSERT_TRUE(live(sync::Poison::skip));
    EXPECT_EQ(source.confirmed, list.back().position);
    ASSERT_EQ(letters().size(), 1u);
    const std::string id(letters().front()->at_path("_id")->string_or());
    EXPECT_TRUE(id.starts_with(to_string(list.back().position) + ".")) << id;
    EXPECT_EQ(execution(spoiled), nullptr);
    EXPECT_EQ(must(context, store.count(collections::workflow_executions, {})), 3u)
        << "the others are there";
}

struct BadCell {
    Table table;
    std::size_t column;
    const char* text;
};

TEST_F(DeadLetter, a_value_that_cannot_be_read_is_noticed_and_never_stored_as_null) {
    const std::vector<BadCell> bad_cells = {
        {Table::hi_procinst, static_cast<std::size_t>(camunda::hi_procinst::start_time), "never"},
        {Table::hi_procinst, static_cast<std::size_t>(camunda::hi_procinst::duration), "12x"},
        {Table::hi_taskinst, static_cast<std::size_t>(camunda::hi_taskinst::priority), "high"},
        {Table::hi_taskinst, static_cast<std::size_t>(camunda::hi_taskinst::due_date),
         "2026-13-40 00:00:00"},
        {Table::hi_actinst, static_cast<std::size_t>(camunda::hi_actinst::start_time), "x"},
        {Table::hi_job_log, static_cast<std::size_t>(camunda::hi_job_log::job_state), "two"},
        {Table::ru_job, static_cast<std::size_t>(camunda::ru_job::retries), ""},
    };
    for (const BadCell& bad : bad_cells) {
        std::vector<Transaction> fresh = simulated();
        bool spoiled = false;
        for (Transaction& transaction : fresh) {
            Transaction copy;
            copy.position = transaction.position;
            copy.committed_at_us = transaction.committed_at_us;
            for (std::size_t i = 0; i < transaction.size(); ++i) {
                const Row row = transaction.row(i);
                std::vector<Cell> cells(row.cells.begin(), row.cells.end());
                if (!spoiled && row.table == bad.table && row.operation == RowOperation::insert &&
                    row.cells.size() > bad.column) {
                    cells[bad.column] = {Cell::Kind::text, bad.text};
                    spoiled = true;
                }
                copy.add(row.table, row.operation, cells);
            }
            transaction = std::move(copy);
        }
        // An activity's start is read only while it is open, and so on: what is not read is not
        // stored either.
        ASSERT_TRUE(spoiled) << camunda::info(bad.table).name;
        list = std::move(fresh);
        store = {};
        source.confirmed = {};
        const auto outcome = live(sync::Poison::stop);
        if (bad.table == Table::hi_actinst && outcome) continue;
        ASSERT_FALSE(outcome) << camunda::info(bad.table).name << " column " << bad.column;
        EXPECT_EQ(outcome.error().code(), ErrorCode::corrupt);
        EXPECT_NE(outcome.error().detail().find(camunda::info(bad.table).columns[bad.column]),
                  std::string::npos)
            << outcome.error().detail();
    }
}

} // namespace
} // namespace netbuild::test
