// SPDX-License-Identifier: Apache-2.0
#include "rows.hpp"

#include <algorithm>
#include <array>
#include <chrono>

#include <fmt/format.h>

namespace netbuild::simulator {
namespace {

using camunda::Table;

// A text longer than this is stored out of line, and an UPDATE that leaves it alone says
// "unchanged" (https://www.postgresql.org/docs/current/storage-toast.html: about 2 kB).
constexpr std::size_t toast_bytes = 2000;

// The order in which a flush of Camunda 7.24 inserts, by what was captured.
constexpr std::array insert_order = {
    Table::ru_jobdef,       Table::re_deployment,   Table::hi_varinst,  Table::hi_job_log,
    Table::hi_detail,       Table::hi_incident,     Table::hi_taskinst, Table::hi_procinst,
    Table::hi_ext_task_log, Table::hi_identitylink, Table::hi_actinst,  Table::ru_execution,
    Table::ru_task,         Table::ge_bytearray,    Table::ru_variable, Table::ru_job,
    Table::re_procdef,
};
constexpr std::array runtime_order = {Table::ru_job, Table::ru_variable, Table::ge_bytearray,
                                      Table::ru_task, Table::ru_execution};
constexpr std::array history_order = {Table::hi_actinst, Table::hi_procinst, Table::hi_taskinst,
                                      Table::hi_varinst, Table::hi_incident};

template <class Order>
int rank_in(const Order& order, Table table) {
    const auto found = std::find(order.begin(), order.end(), table);
    return static_cast<int>(found - order.begin());
}

int rank_of(RowOperation operation, Table table) {
    if (operation == RowOperation::insert) return rank_in(insert_order, table);
    const int runtime = rank_in(runtime_order, table);
    if (runtime < static_cast<int>(runtime_order.size())) return 100 + runtime;
    return 200 + rank_in(history_order, table);
}

} // namespace

void Draft::add(RowOperation operation, SimRow& row) {
    const auto same = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& entry) {
        return entry.row == &row && entry.operation != RowOperation::erase;
    });
    if (same != entries_.end()) {
        if (operation == RowOperation::update) return; // the row goes out as it is at the end
        entries_.erase(same);
    }
    if (operation == RowOperation::erase) row.erased_ = true;
    entries_.push_back({operation, &row, rank_of(operation, row.table()), number_++});
}

void Draft::emit(Transaction& transaction, RowOperation operation, const SimRow& row) {
    std::array<Cell, 32> cells;
    for (std::size_t column = 0; column < row.fields_.size(); ++column) {
        const SimRow::Field& field = row.fields_[column];
        Cell& cell = cells[column];
        if (operation == RowOperation::erase && column > 0) {
            cell.kind = Cell::Kind::absent; // REPLICA IDENTITY DEFAULT: the key alone
        } else if (!field.present) {
            cell.kind = Cell::Kind::null;
        } else if (operation == RowOperation::update && !field.touched &&
                   field.text.size() > toast_bytes) {
            cell.kind = Cell::Kind::unchanged;
        } else {
            cell.kind = Cell::Kind::text;
            cell.text = field.text;
        }
    }
    transaction.add(row.table(), operation, std::span(cells).first(row.fields_.size()));
}

Transaction Draft::build() {
    std::sort(entries_.begin(), entries_.end(), [](const Entry& left, const Entry& right) {
        return std::pair(left.rank, left.number) < std::pair(right.rank, right.number);
    });
    Transaction transaction;
    for (const Entry& entry : entries_)
        emit(transaction, entry.operation, *entry.row);
    for (const Entry& entry : entries_) {
        for (SimRow::Field& field : entry.row->fields_)
            field.touched = false;
    }
    for (const SimRow* row : rewritten_)
        emit(transaction, RowOperation::update, *row);
    entries_.clear();
    rewritten_.clear();
    return transaction;
}

std::string timestamp_text(std::int64_t utc_ms) {
    using namespace std::chrono;
    const sys_time<milliseconds> at{milliseconds{utc_ms}};
    const auto day = floor<days>(at);
    const year_month_day date{day};
    const hh_mm_ss time{at - day};
    std::string text =
        fmt::format("{:04}-{:02}-{:02} {:02}:{:02}:{:02}", static_cast<int>(date.year()),
                    static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                    time.hours().count(), time.minutes().count(), time.seconds().count());
    if (const auto fraction = time.subseconds().count(); fraction != 0) {
        text += fmt::format(".{:03}", fraction);
        while (text.back() == '0')
            text.pop_back();
    }
    return text;
}

std::string bytea_text(std::string_view bytes) {
    constexpr std::string_view digits = "0123456789abcdef";
    std::string text = "\\x";
    text.reserve(2 + 2 * bytes.size());
    for (const char byte : bytes) {
        text += digits[static_cast<unsigned char>(byte) >> 4];
        text += digits[static_cast<unsigned char>(byte) & 15];
    }
    return text;
}

} // namespace netbuild::simulator
