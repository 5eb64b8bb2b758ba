// SPDX-License-Identifier: Apache-2.0
#include "pgoutput_encoder.hpp"

#include "wire/pgoutput.hpp"

namespace netbuild::sim {
namespace {

class Message {
public:
    explicit Message(char kind) : bytes_(1, kind) {}
    template <class Number>
    Message& number(Number value) {
        for (int shift = 8 * (static_cast<int>(sizeof value) - 1); shift >= 0; shift -= 8)
            bytes_.push_back(static_cast<char>(static_cast<std::uint64_t>(value) >> shift));
        return *this;
    }
    Message& mark(char value) {
        bytes_.push_back(value);
        return *this;
    }
    Message& name(std::string_view text) {
        bytes_.append(text).push_back('\0');
        return *this;
    }
    Message& cell(const Cell& cell) {
        if (cell.kind == Cell::Kind::unchanged) return mark('u');
        if (cell.kind != Cell::Kind::text) return mark('n');
        return mark('t').blob(cell.text);
    }
    Message& blob(std::string_view content) {
        number(static_cast<std::uint32_t>(content.size()));
        bytes_.append(content);
        return *this;
    }
    std::string take() { return std::move(bytes_); }

private:
    std::string bytes_;
};

std::uint32_t relation_id(camunda::Table table) {
    return 16'384 + static_cast<std::uint32_t>(table);
}

std::string relation(const camunda::TableInfo& info) {
    Message message('R');
    message.number(relation_id(info.table)).name("public").name(info.name).mark('d');
    message.number(static_cast<std::uint16_t>(info.columns.size()));
    for (const std::string_view column : info.columns) {
        const bool key = column == info.columns.front();
        message.mark(key ? '\1' : '\0').name(column);
        message.number(std::uint32_t{25}).number(std::int32_t{-1}); // text, whatever it is
    }
    return message.take();
}

std::string change(const Row& row) {
    const bool erase = row.operation == RowOperation::erase;
    Message message(row.operation == RowOperation::insert ? 'I' : erase ? 'D' : 'U');
    message.number(relation_id(row.table)).mark(erase ? 'K' : 'N');
    message.number(static_cast<std::uint16_t>(row.cells.size()));
    for (const Cell& cell : row.cells)
        message.cell(cell);
    return message.take();
}

} // namespace

std::vector<std::string> PgoutputEncoder::encode(const Transaction& transaction, Lsn end) {
    const std::int64_t at = transaction.committed_at_us - postgres_epoch_us;
    const std::uint64_t record = to_number(end) - 48;
    std::vector<std::string> messages;
    messages.push_back(Message('B').number(record).number(at).number(transaction.xid).take());
    for (std::size_t i = 0; i < transaction.size(); ++i) {
        const Row row = transaction.row(i);
        if (described_.insert(row.table).second)
            messages.push_back(relation(camunda::info(row.table)));
        messages.push_back(change(row));
    }
    for (const std::string& request : transaction.requests)
        messages.push_back(Message('M')
                               .mark('\1')
                               .number(record)
                               .name(Transaction::request_prefix)
                               .blob(request)
                               .take());
    messages.push_back(
        Message('C').mark('\0').number(record).number(to_number(end)).number(at).take());
    return messages;
}

} // namespace netbuild::sim
