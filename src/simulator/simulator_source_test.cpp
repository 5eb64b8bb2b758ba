// SPDX-License-Identifier: Apache-2.0
#include "simulator/simulator_source.hpp"

#include <map>
#include <set>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

namespace netbuild {
namespace {

using camunda::Table;

/// Stands still but for sleeps, which end at once.
class JumpingClock final : public Clock {
public:
    [[nodiscard]] duration monotonic() const override { return now_; }
    [[nodiscard]] std::int64_t utc_us() const override {
        return 1'790'000'000'000'000 + now_.count() / 1'000;
    }
    awaitable<result<void>> sleep(duration time) override {
        now_ += time;
        ++sleeps;
        co_return result<void>{};
    }
    int sleeps = 0;

private:
    duration now_{};
};

awaitable<result<void>> read_into(SimulatorSource& source, SourceStart start,
                                  std::vector<Transaction>& transactions) {
    CO_TRY(auto snapshot, co_await source.open(start));
    EXPECT_EQ(snapshot, nullptr);
    for (;;) {
        CO_TRY(ChangeBatch batch, co_await source.next());
        EXPECT_LE(batch.transactions.size(), 256u);
        for (Transaction& transaction : batch.transactions) {
            transactions.push_back(std::move(transaction));
        }
        if (batch.end) co_return result<void>{};
    }
}

std::vector<Transaction> read_all(SimulatorSource& source, SourceStart start = {}) {
    asio::io_context io;
    std::vector<Transaction> transactions;
    std::optional<result<void>> outcome;
    asio::co_spawn(io, read_into(source, start, transactions),
                   [&](std::exception_ptr, result<void> done) { outcome = std::move(done); });
    io.run();
    EXPECT_TRUE(outcome && *outcome);
    return transactions;
}

std::string text_of(const Transaction& transaction) {
    std::string text =
        to_string(transaction.position) + "@" + std::to_string(transaction.committed_at_us) + "\n";
    for (std::size_t index = 0; index < transaction.size(); ++index) {
        const Row row = transaction.row(index);
        text += std::string(camunda::info(row.table).name) + " " +
                "IUDT"[static_cast<int>(row.operation)];
        for (const Cell& cell : row.cells) {
            text += '|';
            text += "-nu"[std::min(2, static_cast<int>(cell.kind))];
            text += cell.text;
        }
        text += '\n';
    }
    return text;
}

SimulatorSource::Options some(std::uint64_t instances) {
    SimulatorSource::Options options;
    options.seed = 42;
    options.instances = instances;
    return options;
}

TEST(Simulator, the_same_seed_gives_the_same_transactions_and_another_seed_does_not) {
    JumpingClock clock;
    std::string texts[3];
    for (int run = 0; run < 3; ++run) {
        auto options = some(60);
        options.seed = run < 2 ? 42 : 43;
        SimulatorSource source(options, clock);
        for (const auto& transaction : read_all(source))
            texts[run] += text_of(transaction);
    }
    EXPECT_EQ(texts[0], texts[1]);
    EXPECT_NE(texts[0], texts[2]);
}

TEST(Simulator, positions_and_commit_times_only_grow) {
    JumpingClock clock;
    SimulatorSource source(some(200), clock);
    Position last;
    std::int64_t last_at_us = 0;
    for (const auto& transaction : read_all(source, {.epoch = 3})) {
        EXPECT_GT(transaction.position, last);
        EXPECT_EQ(transaction.position.epoch(), 3u);
        EXPECT_GT(transaction.committed_at_us, last_at_us);
        EXPECT_FALSE(transaction.empty());
        last = transaction.position;
        last_at_us = transaction.committed_at_us;
    }
    EXPECT_LE(last_at_us, clock.utc_us());
}

TEST(Simulator, resumes_after_a_position_with_the_very_rest) {
    JumpingClock clock;
    SimulatorSource source(some(50), clock);
    const auto all = read_all(source);
    const std::size_t half = all.size() / 2;
    const auto rest = read_all(source, {.epoch = 0, .after = all[half].position});
    ASSERT_EQ(rest.size(), all.size() - half - 1);
    for (std::size_t n = 0; n < rest.size(); ++n) {
        EXPECT_EQ(text_of(rest[n]), text_of(all[half + 1 + n]));
    }
}

TEST(Simulator, paces_itself_by_the_clock) {
    JumpingClock clock;
    auto options = some(30);
    options.instances_per_second = 10;
    SimulatorSource source(options, clock);
    const auto transactions = read_all(source);
    EXPECT_GT(clock.sleeps, 100);
    EXPECT_GE(clock.monotonic(), std::chrono::seconds(3));
    EXPECT_LE(transactions.back().committed_at_us, clock.utc_us() + 1'000);
}

TEST(Simulator, starts_with_a_deployment_for_each_tenant_that_holds_the_bpmn) {
    JumpingClock clock;
    auto options = some(5);
    options.tenants = 10;
    SimulatorSource source(options, clock);
    const auto transactions = read_all(source);
    std::set<std::string_view> tenants;
    for (std::size_t n = 0; n < 10; ++n) {
        for (std::size_t index = 0; index < transactions[n].size(); ++index) {
            const Row row = transactions[n].row(index);
            if (row.table == Table::re_procdef) {
                tenants.insert(row.text(camunda::re_procdef::tenant_id));
            }
            if (row.table == Table::ge_bytearray) {
                // "<?xml"
                EXPECT_TRUE(row.text(camunda::ge_bytearray::bytes).starts_with("\\x3c3f786d6c"));
            }
        }
    }
    EXPECT_EQ(tenants.size(), 10u);
}

/// A database without history: applies every row and complains about what a database would.
class Database {
public:
    void apply(const Transaction& transaction) {
        for (std::size_t index = 0; index < transaction.size(); ++index) {
            apply(transaction.row(index));
        }
    }
    std::map<std::string, std::vector<Cell>>& table(Table table) { return tables_[table]; }
    int unchanged = 0;
    int doubled_process_updates = 0;

private:
    void apply(const Row& row) {
        auto& rows = tables_[row.table];
        const std::string id(row.cells[0].text);
        const std::string name(camunda::info(row.table).name);
        ASSERT_FALSE(id.empty()) << name;
        if (row.operation == RowOperation::insert) {
            ASSERT_TRUE(rows.emplace(id, std::vector(row.cells.begin(), row.cells.end())).second)
                << name << " has " << id << " already";
            return;
        }
        const auto found = rows.find(id);
        ASSERT_TRUE(found != rows.end()) << name << " has no " << id;
        if (row.operation == RowOperation::erase) {
            rows.erase(found);
            return;
        }
        for (std::size_t column = 0; column < row.cells.size(); ++column) {
            if (row.cells[column].kind == Cell::Kind::unchanged) {
                ++unchanged;
            } else {
                found->second[column] = row.cells[column];
            }
        }
    }
    std::map<Table, std::map<std::string, std::vector<Cell>>> tables_;
};

template <class Column>
std::string_view text(const std::vector<Cell>& cells, Column column) {
    return cells[static_cast<std::size_t>(column)].text;
}

TEST(Simulator, tasks_of_runtime_and_history_agree_after_every_transaction) {
    JumpingClock clock;
    SimulatorSource source(some(150), clock);
    Database database;
    const auto transactions = read_all(source); // the cells point into them
    for (const auto& transaction : transactions) {
        database.apply(transaction);
        ASSERT_FALSE(HasFatalFailure());
        for (const auto& [id, task] : database.table(Table::ru_task)) {
            using camunda::hi_taskinst;
            using camunda::ru_task;
            const auto history = database.table(Table::hi_taskinst).find(id);
            ASSERT_TRUE(history != database.table(Table::hi_taskinst).end());
            EXPECT_EQ(text(task, ru_task::assignee), text(history->second, hi_taskinst::assignee));
            EXPECT_EQ(text(task, ru_task::owner), text(history->second, hi_taskinst::owner));
            EXPECT_EQ(text(task, ru_task::priority), text(history->second, hi_taskinst::priority));
            EXPECT_EQ(text(task, ru_task::task_state),
                      text(history->second, hi_taskinst::task_state));
            EXPECT_EQ(text(history->second, hi_taskinst::end_time), "");
            EXPECT_TRUE(database.table(Table::ru_execution)
                            .contains(std::string(text(task, ru_task::execution_id))));
        }
    }
}

TEST(Simulator, every_order_ends_and_leaves_nothing_open) {
    JumpingClock clock;
    SimulatorSource source(some(400), clock);
    Database database;
    const auto transactions = read_all(source);
    for (const auto& transaction : transactions) {
        database.apply(transaction);
        ASSERT_FALSE(HasFatalFailure());
    }
    for (const Table table :
         {Table::ru_execution, Table::ru_task, Table::ru_variable, Table::ru_job}) {
        EXPECT_TRUE(database.table(table).empty()) << camunda::info(table).name;
    }
    std::map<std::string_view, int> states;
    for (const auto& [id, process] : database.table(Table::hi_procinst)) {
        ++states[text(process, camunda::hi_procinst::state)];
        EXPECT_NE(text(process, camunda::hi_procinst::end_time), "");
    }
    EXPECT_EQ(states.size(), 2u);
    EXPECT_GT(states["COMPLETED"], 300);
    EXPECT_GT(states["EXTERNALLY_TERMINATED"], 3);
    for (const auto& [id, task] : database.table(Table::hi_taskinst)) {
        EXPECT_NE(text(task, camunda::hi_taskinst::end_time), "") << id;
    }
    for (const auto& [id, activity] : database.table(Table::hi_actinst)) {
        EXPECT_NE(text(activity, camunda::hi_actinst::end_time), "") << id;
    }
    for (const auto& [id, incident] : database.table(Table::hi_incident)) {
        EXPECT_NE(text(incident, camunda::hi_incident::incident_state), "0") << id;
    }
    EXPECT_GT(database.unchanged, 50); // TOAST that updates leave alone
}

TEST(Simulator, shows_every_trap_of_the_end_of_a_process) {
    JumpingClock clock;
    SimulatorSource source(some(100), clock);
    int ends = 0;
    for (const auto& transaction : read_all(source)) {
        std::map<std::string_view, int> process_updates;
        int rewritten = 0;
        for (std::size_t index = 0; index < transaction.size(); ++index) {
            const Row row = transaction.row(index);
            if (row.operation != RowOperation::update) continue;
            if (row.table == Table::hi_procinst && row.has_text(camunda::hi_procinst::end_time)) {
                ++process_updates[row.text(camunda::hi_procinst::id)];
            }
            rewritten += row.table == Table::hi_detail;
        }
        for (const auto& [id, updates] : process_updates) {
            EXPECT_EQ(updates, 2) << id;
            ++ends;
        }
        EXPECT_EQ(process_updates.empty(), rewritten == 0);
    }
    EXPECT_GE(ends, 100);
}

} // namespace
} // namespace netbuild
