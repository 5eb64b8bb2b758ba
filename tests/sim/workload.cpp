// SPDX-License-Identifier: Apache-2.0
#include "workload.hpp"

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

std::vector<ScriptEntry> draw_script(std::uint64_t seed, std::uint64_t instances) {
    asio::io_context context;
    SimulatedClock clock(context);
    SimulatorSource simulator(
        {.seed = seed, .instances = instances, .tenants = 1, .start_at_us = 1'700'000'000'000'000},
        clock);
    must(context, simulator.open({}));
    std::vector<ScriptEntry> script;
    std::unordered_map<std::string, std::size_t> order_of_row;
    std::size_t orders = 0;
    for (bool end = false; !end;) {
        ChangeBatch batch = must(context, simulator.next());
        end = batch.end;
        for (Transaction& transaction : batch.transactions) {
            // Ids are unique: the first known row tells whose transaction it is.
            std::size_t order = orders;
            for (std::size_t i = 0; i < transaction.size() && order == orders; ++i) {
                const auto known = order_of_row.find(std::string(transaction.row(i).cells[0].text));
                if (known != order_of_row.end()) order = known->second;
            }
            if (order == orders) ++orders;
            for (std::size_t i = 0; i < transaction.size(); ++i)
                order_of_row.emplace(transaction.row(i).cells[0].text, order);
            script.push_back({std::move(transaction), order});
        }
    }
    return script;
}

} // namespace netbuild::sim
