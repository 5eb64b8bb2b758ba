// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "database.hpp"
#include "ports/record_changes.hpp"
#include "ports/record_store.hpp"

namespace netbuild::sqlite {

/// The tables of the log, if they are not there yet.
[[nodiscard]] result<void> create_change_log(Database& database);

/// Notes down the changes of one commit, within its transaction. Their number is the time, or one
/// more than the last one's: it rises with every commit, also after the file was made anew.
class ChangeLog {
public:
    ChangeLog(Database& database, std::span<const RecordEvents> events, std::int64_t changes_max,
              std::int64_t now_ms)
        : database_(database), events_(events), changes_max_(changes_max), now_ms_(now_ms) {}
    [[nodiscard]] result<void> add(const RecordWrite& write);

private:
    [[nodiscard]] result<void> take_number();
    [[nodiscard]] result<void> give_up_oldest();

    Database& database_;
    std::span<const RecordEvents> events_;
    std::int64_t changes_max_, now_ms_;
    std::int64_t number_ = 0;
    std::int64_t ordinal_ = 0;
};

} // namespace netbuild::sqlite
