// SPDX-License-Identifier: Apache-2.0
#include "change_log.hpp"

#include <fmt/format.h>

#include "wire/bson.hpp"

namespace netbuild::sqlite {
result<void> create_change_log(Database& database) {
    return database.execute(
        "CREATE TABLE IF NOT EXISTS _changes (sequence INTEGER PRIMARY KEY, number INTEGER NOT "
        "NULL, ordinal INTEGER NOT NULL, collection TEXT NOT NULL, inserted INTEGER NOT NULL, "
        "at INTEGER NOT NULL, record BLOB NOT NULL);"
        "CREATE UNIQUE INDEX IF NOT EXISTS _changes_position ON _changes (number, ordinal);"
        "CREATE TABLE IF NOT EXISTS _changes_place (one INTEGER PRIMARY KEY CHECK (one = 1), "
        "last INTEGER NOT NULL, confirmed_number INTEGER NOT NULL, confirmed_ordinal INTEGER NOT "
        "NULL, gone_number INTEGER NOT NULL, gone_ordinal INTEGER NOT NULL);"
        "INSERT OR IGNORE INTO _changes_place VALUES (1, 0, 0, 0, 0, 0)");
}

result<void> ChangeLog::add(const RecordWrite& write) {
    const RecordEvents* of = RecordEvents::find(events_, write.collection->name);
    if (!of || write.kind == RecordWrite::Kind::erase) return {};
    if (number_ == 0) TRY_VOID(take_number());
    TRY(Statement statement,
        database_.prepare("INSERT INTO _changes (number, ordinal, collection, inserted, at, "
                          "record) VALUES (?, ?, ?, ?, ?, ?)"));
    const std::string record = encode_bson(of->pick(stored_record(write)));
    statement.bind(1, number_);
    statement.bind(2, ordinal_++);
    statement.bind(3, write.collection->name);
    statement.bind(4, std::int64_t{write.kind == RecordWrite::Kind::insert});
    statement.bind(5, now_ms_);
    statement.bind_blob(6, record);
    return statement.run();
}

result<void> ChangeLog::take_number() {
    TRY_VOID(give_up_oldest());
    TRY(Statement statement, database_.prepare("UPDATE _changes_place SET last = max(last + 1, ?) "
                                               "RETURNING last"));
    statement.bind(1, (now_ms_ / 1000) << 32);
    TRY_VOID(statement.step());
    number_ = statement.integer(0);
    return {};
}

result<void> ChangeLog::give_up_oldest() {
    TRY(Statement ends,
        database_.prepare("SELECT coalesce((SELECT max(sequence) FROM _changes), 0), "
                          "coalesce((SELECT min(sequence) FROM _changes), 1)"));
    TRY_VOID(ends.step());
    const std::int64_t newest = ends.integer(0);
    if (newest - ends.integer(1) < changes_max_) return {};
    // A little more, so that not every commit has to.
    const std::int64_t upto = newest - changes_max_ + changes_max_ / 100;
    TRY(Statement mark,
        database_.prepare("UPDATE _changes_place SET (gone_number, gone_ordinal) = (SELECT number, "
                          "ordinal FROM _changes WHERE sequence <= ? ORDER BY sequence DESC LIMIT "
                          "1)"));
    mark.bind(1, upto);
    TRY_VOID(mark.run());
    TRY(Statement remove, database_.prepare("DELETE FROM _changes WHERE sequence <= ?"));
    remove.bind(1, upto);
    return remove.run();
}

} // namespace netbuild::sqlite
