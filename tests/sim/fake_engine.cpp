// SPDX-License-Identifier: Apache-2.0
#include "fake_engine.hpp"

#include <algorithm>
#include <set>
#include <stdexcept>

#include "workload.hpp"

namespace netbuild::sim {
namespace {

using camunda::Table;

constexpr Lsn first_lsn{0x1000028};

template <class Column>
std::string_view text(const StoredRow& row, Column column) {
    const auto& value = row[static_cast<std::size_t>(column)];
    return value ? std::string_view(*value) : std::string_view{};
}

} // namespace

FakeEngine::FakeEngine(const asio::any_io_executor& executor, std::string system_identifier)
    : identity_{"wal", std::move(system_identifier), 1}, changed_(executor) {}

Lsn FakeEngine::commit(const Transaction& transaction, std::optional<std::size_t> entry,
                       std::int64_t committed_at_us) {
    Committed made;
    // About what such rows take in the log, in its 8-byte steps.
    made.end = wal_end_ = Lsn{to_number(wal_end_) + 96 + transaction.size() * 600};
    Transaction copy = copy_of(transaction);
    copy.committed_at_us = committed_at_us;
    copy.xid = next_xid_++;
    write_rows(copy);
    made.transaction = std::make_shared<const Transaction>(std::move(copy));
    made.entry = entry;
    log_.push_back(std::move(made));
    changed_.notify_all();
    return wal_end_;
}

void FakeEngine::write_rows(const Transaction& transaction) {
    for (std::size_t i = 0; i < transaction.size(); ++i) {
        const Row row = transaction.row(i);
        const std::pair key(row.table, std::string(row.cells[0].text));
        if (row.operation == RowOperation::erase) {
            tables_.erase(key);
            continue;
        }
        auto& place = tables_[key];
        // Else a history that no engine has would be blamed on the pipeline.
        if (!place && row.operation == RowOperation::update)
            throw std::logic_error("an UPDATE of a row that is not there: " + key.second);
        auto stored = std::make_shared<StoredRow>();
        for (std::size_t column = 0; column < row.cells.size(); ++column) {
            const Cell& cell = row.cells[column];
            if (cell.kind == Cell::Kind::unchanged && place) {
                stored->push_back((*place)[column]);
            } else if (cell.kind == Cell::Kind::text) {
                stored->emplace_back(cell.text);
            } else {
                stored->emplace_back(std::nullopt);
            }
        }
        place = std::move(stored);
    }
}

void FakeEngine::rebuild_tables() {
    tables_.clear();
    for (const auto* part : {&before_, &log_}) {
        for (const Committed& one : *part)
            write_rows(*one.transaction);
    }
}

bool FakeEngine::clean_up_history(std::uint64_t draw, std::int64_t committed_at_us) {
    std::vector<std::string> finished;
    for (const auto& [key, row] : tables_) {
        if (key.first == Table::hi_procinst && !text(*row, camunda::hi_procinst::end_time).empty())
            finished.push_back(key.second);
    }
    if (finished.empty()) return false;
    const std::string& instance = finished[draw % finished.size()];
    const auto owner = [](Table table, const StoredRow& row) -> std::string_view {
        switch (table) {
        case Table::hi_taskinst:
            return text(row, camunda::hi_taskinst::proc_inst_id);
        case Table::hi_actinst:
            return text(row, camunda::hi_actinst::proc_inst_id);
        case Table::hi_varinst:
            return text(row, camunda::hi_varinst::proc_inst_id);
        case Table::hi_detail:
            return text(row, camunda::hi_detail::proc_inst_id);
        case Table::hi_incident:
            return text(row, camunda::hi_incident::proc_inst_id);
        default:
            return {};
        }
    };
    Transaction transaction;
    const auto erase = [&](Table table, const std::string& id) {
        std::vector<Cell> cells(1, Cell{Cell::Kind::text, id});
        transaction.add(table, RowOperation::erase, cells);
    };
    for (const auto& [key, row] : tables_) {
        if (owner(key.first, *row) == instance) erase(key.first, key.second);
    }
    erase(Table::hi_procinst, instance);
    commit(transaction, std::nullopt, committed_at_us);
    return true;
}

void FakeEngine::write_elsewhere(std::uint64_t bytes) {
    wal_end_ = Lsn{to_number(wal_end_) + (bytes + 7) / 8 * 8};
    changed_.notify_all();
}

std::vector<Committed> FakeEngine::history() const {
    std::vector<Committed> all = before_;
    for (std::size_t i = 0; i < all.size(); ++i)
        all[i].end = Lsn{64 * (i + 1)};
    all.insert(all.end(), log_.begin(), log_.end());
    return all;
}

void FakeEngine::adopt(std::vector<Committed> history, SourceIdentity identity) {
    log_ = std::move(history);
    identity_ = std::move(identity);
    wal_end_ = last_commit();
    slot_ = Slot{};
    rebuild_tables();
}

void FakeEngine::disconnect() {
    ++generation_;
    if (slot_) slot_->owner = 0;
    changed_.notify_all();
}

void FakeEngine::drop_slot() {
    slot_.reset();
    disconnect();
}

void FakeEngine::recreate_slot() {
    slot_ = Slot{wal_end_, 0};
    disconnect();
}

std::vector<Committed> FakeEngine::fail_over(std::size_t lost, bool with_slot) {
    lost = std::min(lost, log_.size());
    std::vector<Committed> gone(std::make_move_iterator(log_.end() - static_cast<long>(lost)),
                                std::make_move_iterator(log_.end()));
    log_.resize(log_.size() - lost);
    if (lost > 0) wal_end_ = log_.empty() ? first_lsn : log_.back().end;
    ++identity_.timeline;
    if (!with_slot) slot_.reset();
    if (slot_) slot_->confirmed = std::min(slot_->confirmed, wal_end_);
    rebuild_tables();
    disconnect();
    return gone;
}

void FakeEngine::dump_and_restore(std::string system_identifier) {
    identity_ = {"wal", std::move(system_identifier), 1};
    std::move(log_.begin(), log_.end(), std::back_inserter(before_));
    log_.clear();
    wal_end_ = first_lsn;
    drop_slot();
}

FakeSnapshot::FakeSnapshot(Tables tables, Position position, std::size_t chunk_instances,
                           std::function<bool()> alive)
    : tables_(std::move(tables)),
      position_(position),
      chunk_instances_(chunk_instances),
      alive_(std::move(alive)) {
    for (const auto& [key, row] : tables_) {
        if (key.first == Table::hi_procinst) instances_.push_back(key.second);
    }
}

void FakeSnapshot::start_after(std::string process_instance_id) {
    from_ = static_cast<std::size_t>(
        std::upper_bound(instances_.begin(), instances_.end(), process_instance_id) -
        instances_.begin());
}

awaitable<result<std::optional<EngineChunk>>> FakeSnapshot::next() {
    if (!alive_()) co_return fail(ErrorCode::unavailable, "the snapshot's connection");
    EngineChunk chunk;
    if (stage_ == Stage::definitions) {
        chunk.rows = definitions();
        stage_ = Stage::instances;
    } else if (stage_ == Stage::instances && from_ < instances_.size()) {
        const std::size_t to = std::min(instances_.size(), from_ + chunk_instances_);
        chunk.rows = instances({instances_.begin() + static_cast<long>(from_),
                                instances_.begin() + static_cast<long>(to)});
        chunk.upto = instances_[to - 1];
        chunk.instances = to - from_;
        from_ = to;
    } else if (stage_ == Stage::instances) {
        stage_ = Stage::standalone; // the simulated Camunda has no tasks without a process
    } else {
        co_return std::optional<EngineChunk>();
    }
    co_return std::optional(std::move(chunk));
}

awaitable<result<Transaction>> FakeSnapshot::read(InstanceSelection selection) {
    if (!alive_()) co_return fail(ErrorCode::unavailable, "the snapshot's connection");
    std::vector<std::string> ids = std::move(selection.instances);
    for (const std::string& task : selection.tasks) {
        if (auto owner = owner_of(task); !owner.empty()) ids.push_back(std::move(owner));
    }
    co_return instances(ids);
}

std::string FakeSnapshot::owner_of(const std::string& task) const {
    const auto row = tables_.find({Table::hi_taskinst, task});
    return row == tables_.end()
               ? std::string()
               : std::string(text(*row->second, camunda::hi_taskinst::proc_inst_id));
}

namespace {

void add_row(Transaction& out, Table table, const StoredRow& row) {
    std::vector<Cell> cells;
    for (const auto& value : row)
        cells.push_back(value ? Cell{Cell::Kind::text, *value} : Cell{Cell::Kind::null, {}});
    out.add(table, RowOperation::insert, cells);
}

} // namespace

Transaction FakeSnapshot::empty_chunk() const {
    Transaction out;
    out.position = position_;
    out.committed_at_us = 1;
    return out;
}

Transaction FakeSnapshot::definitions() const {
    Transaction out = empty_chunk();
    std::set<std::pair<std::string_view, std::string_view>> resources;
    for (const auto& [key, row] : tables_) {
        if (key.first != Table::re_procdef) continue;
        add_row(out, key.first, *row);
        resources.emplace(text(*row, camunda::re_procdef::deployment_id),
                          text(*row, camunda::re_procdef::resource_name));
    }
    for (const auto& [key, row] : tables_) {
        const bool wanted = key.first == Table::ru_jobdef ||
                            (key.first == Table::ge_bytearray &&
                             resources.contains({text(*row, camunda::ge_bytearray::deployment_id),
                                                 text(*row, camunda::ge_bytearray::name)}));
        if (wanted) add_row(out, key.first, *row);
    }
    return out;
}

/// The same selections as postgres/snapshot_loader.cpp.
Transaction FakeSnapshot::instances(const std::vector<std::string>& ids) const {
    const std::set<std::string_view> wanted(ids.begin(), ids.end());
    Transaction out = empty_chunk();
    std::set<std::string_view> tasks;
    std::set<std::string_view> bytes;
    const auto select = [&](Table table, auto&& keep) {
        for (const auto& [key, row] : tables_) {
            if (key.first == table && keep(*row)) add_row(out, table, *row);
        }
    };
    const auto of = [&](const StoredRow& row, auto column) {
        return wanted.contains(text(row, column));
    };
    select(Table::hi_procinst,
           [&](const StoredRow& row) { return of(row, camunda::hi_procinst::proc_inst_id); });
    select(Table::hi_taskinst, [&](const StoredRow& row) {
        if (!of(row, camunda::hi_taskinst::proc_inst_id)) return false;
        tasks.insert(text(row, camunda::hi_taskinst::id));
        return true;
    });
    select(Table::hi_actinst, [&](const StoredRow& row) {
        return text(row, camunda::hi_actinst::end_time).empty() &&
               of(row, camunda::hi_actinst::proc_inst_id);
    });
    select(Table::hi_incident, [&](const StoredRow& row) {
        return text(row, camunda::hi_incident::incident_state) == "0" &&
               of(row, camunda::hi_incident::proc_inst_id);
    });
    select(Table::hi_varinst, [&](const StoredRow& row) {
        if (!of(row, camunda::hi_varinst::proc_inst_id)) return false;
        bytes.insert(text(row, camunda::hi_varinst::bytearray_id));
        return text(row, camunda::hi_varinst::state) != "DELETED";
    });
    select(Table::ge_bytearray, [&](const StoredRow& row) {
        return bytes.contains(text(row, camunda::ge_bytearray::id));
    });
    std::map<std::vector<std::string_view>, const StoredRow*> links; // by time, operation, id
    for (const auto& [key, row] : tables_) {
        using Column = camunda::hi_identitylink;
        if (key.first == Table::hi_identitylink && text(*row, Column::type) == "candidate" &&
            tasks.contains(text(*row, Column::task_id)))
            links[{text(*row, Column::timestamp), text(*row, Column::operation_type),
                   text(*row, Column::id)}] = row.get();
    }
    for (const auto& [order, row] : links)
        add_row(out, Table::hi_identitylink, *row);
    select(Table::ru_task,
           [&](const StoredRow& row) { return of(row, camunda::ru_task::proc_inst_id); });
    select(Table::ru_job,
           [&](const StoredRow& row) { return of(row, camunda::ru_job::process_instance_id); });
    return out;
}

} // namespace netbuild::sim
