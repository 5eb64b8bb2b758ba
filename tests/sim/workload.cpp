// SPDX-License-Identifier: Apache-2.0
#include "workload.hpp"

#include <algorithm>
#include <optional>
#include <unordered_map>

#include "run.hpp"
#include "simulated_clock.hpp"
#include "simulator/simulator_source.hpp"

namespace netbuild::sim {

Transaction copy_of(const Transaction& transaction) {
    Transaction copy;
    copy.position = transaction.position;
    copy.committed_at_us = transaction.committed_at_us;
    copy.xid = transaction.xid;
    copy.requests = transaction.requests;
    for (std::size_t i = 0; i < transaction.size(); ++i) {
        const Row row = transaction.row(i);
        copy.add(row.table, row.operation, row.cells);
    }
    return copy;
}

namespace {

/// Finds the order that a transaction belongs to.
class Orders {
public:
    std::size_t of(const Transaction& transaction) {
        const std::size_t order = known(transaction).value_or(next_);
        next_ = std::max(next_, order + 1);
        for (std::size_t i = 0; i < transaction.size(); ++i) {
            const Row row = transaction.row(i);
            order_of_row_.emplace(row.cells[0].text, order);
            if (row.table == camunda::Table::hi_procinst)
                order_of_instance_.emplace(row.cells[0].text, order);
        }
        return order;
    }

private:
    /// By a process instance that is named anywhere, for all rows of a transaction may be new (that
    /// of an external task's failure); else by the first row that is known, for ids are unique.
    [[nodiscard]] std::optional<std::size_t> known(const Transaction& transaction) const {
        std::optional<std::size_t> by_row;
        for (std::size_t i = 0; i < transaction.size(); ++i) {
            const Row row = transaction.row(i);
            for (const Cell& cell : row.cells) {
                const auto instance = order_of_instance_.find(std::string(cell.text));
                if (instance != order_of_instance_.end()) return instance->second;
            }
            const auto same = order_of_row_.find(std::string(row.cells[0].text));
            if (!by_row && same != order_of_row_.end()) by_row = same->second;
        }
        return by_row;
    }

    std::unordered_map<std::string, std::size_t> order_of_row_;
    std::unordered_map<std::string, std::size_t> order_of_instance_;
    std::size_t next_ = 0;
};

} // namespace

std::vector<ScriptEntry> draw_script(std::uint64_t seed, std::uint64_t instances) {
    asio::io_context context;
    SimulatedClock clock(context);
    SimulatorSource simulator(
        {.seed = seed, .instances = instances, .tenants = 1, .start_at_us = 1'700'000'000'000'000},
        clock);
    must(context, simulator.open({}));
    std::vector<ScriptEntry> script;
    Orders orders;
    for (bool end = false; !end;) {
        ChangeBatch batch = must(context, simulator.next());
        end = batch.end;
        for (Transaction& transaction : batch.transactions) {
            const std::size_t order = orders.of(transaction);
            script.push_back({std::move(transaction), order});
        }
    }
    return script;
}

} // namespace netbuild::sim
