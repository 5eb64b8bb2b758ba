// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "model/transaction.hpp"

namespace netbuild::simulator {

/// A row as the simulated database has it.
class SimRow {
public:
    explicit SimRow(camunda::Table table)
        : table_(table), fields_(camunda::info(table).columns.size()) {}

    template <class Column>
    SimRow& set(Column column, std::string_view text) {
        Field& field = fields_[static_cast<std::size_t>(column)];
        field.present = true;
        field.touched = true;
        field.text = text;
        return *this;
    }
    template <class Column>
    SimRow& set_null(Column column) {
        fields_[static_cast<std::size_t>(column)] = Field{.touched = true};
        return *this;
    }
    template <class Column>
    [[nodiscard]] const std::string& get(Column column) const {
        return fields_[static_cast<std::size_t>(column)].text;
    }
    template <class Column>
    [[nodiscard]] bool has(Column column) const {
        return fields_[static_cast<std::size_t>(column)].present;
    }
    [[nodiscard]] camunda::Table table() const noexcept { return table_; }
    [[nodiscard]] const std::string& id() const noexcept { return fields_[0].text; }
    [[nodiscard]] bool erased() const noexcept { return erased_; }

    /// When what the row stands for began, for durations; no column.
    std::int64_t began_ms = 0;

private:
    friend class Draft;
    struct Field {
        bool present = false;
        bool touched = false; // in the transaction being drafted
        std::string text{};
    };
    camunda::Table table_;
    bool erased_ = false;
    std::vector<Field> fields_;
};

/// The changes of one transaction in the making. build() puts them into the order in which
/// Camunda's flush writes them: inserts grouped by entity, then updates and deletes, then the
/// rewriting of history.
class Draft {
public:
    void insert(SimRow& row) { add(RowOperation::insert, row); }
    void update(SimRow& row) { add(RowOperation::update, row); }
    void erase(SimRow& row) { add(RowOperation::erase, row); }
    /// An UPDATE that changes no column that is published (removal_time_), after all others.
    void rewrite(SimRow& row) { rewritten_.push_back(&row); }

    [[nodiscard]] bool empty() const noexcept { return entries_.empty() && rewritten_.empty(); }
    /// Rows are as they are now; the draft is empty afterwards.
    [[nodiscard]] Transaction build();

private:
    struct Entry {
        RowOperation operation;
        SimRow* row;
        int rank;
        std::uint32_t number; // in the order of the calls
    };
    void add(RowOperation operation, SimRow& row);
    static void emit(Transaction& transaction, RowOperation operation, const SimRow& row);

    std::vector<Entry> entries_;
    std::vector<SimRow*> rewritten_;
    std::uint32_t number_ = 0;
};

/// PostgreSQL's text of a timestamp: "2026-11-23 07:18:13.14".
[[nodiscard]] std::string timestamp_text(std::int64_t utc_ms);
/// PostgreSQL's text of a bytea: "\x6869".
[[nodiscard]] std::string bytea_text(std::string_view bytes);

} // namespace netbuild::simulator
