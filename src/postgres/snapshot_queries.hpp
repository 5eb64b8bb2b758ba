// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "publication.hpp"

namespace netbuild::postgres {

/// A SELECT of a table's rows, columns in the order of the model.
struct TableQuery {
    camunda::Table table;
    std::string sql;
    /// The column with the process instance, or the task, that a row belongs to; where the table
    /// has none, an additional one at the end.
    std::size_t owner = 0;
};

/// The rows of one COPY for all of `queries`.
[[nodiscard]] std::string copies(const std::vector<TableQuery>& queries);

/// The SELECTs that give process instances and tasks with all that belongs to them.
class SnapshotQueries {
public:
    SnapshotQueries(std::string_view schema, const TableColumns& columns);

    /// Job and process definitions with their BPMN.
    [[nodiscard]] std::vector<TableQuery> definitions() const;
    /// `condition` is one on the column {}.
    [[nodiscard]] std::vector<TableQuery> instances(std::string_view condition) const;
    /// Of tasks that have no process; `condition` is one on a task's id, {}.
    [[nodiscard]] std::vector<TableQuery> standalone_tasks(std::string_view condition) const;

    [[nodiscard]] std::string count_instances() const;
    /// Ids after `id` in the server's order, which is that of its indexes.
    [[nodiscard]] std::string instance_ids(std::string_view id, std::size_t limit) const;
    [[nodiscard]] std::string standalone_task_ids(std::string_view id, std::size_t limit) const;
    [[nodiscard]] std::string owners_of_tasks(std::span<const std::string> tasks) const;

    /// "{} between 'a' and 'b'".
    [[nodiscard]] static std::string between(std::string_view first, std::string_view last);
    /// "{} = any('{"a","b"}')".
    [[nodiscard]] static std::string any_of(std::span<const std::string> ids);

private:
    /// `source` is where the rows, `t`, come from.
    [[nodiscard]] TableQuery select(camunda::Table table, std::string_view source,
                                    std::string_view where, std::size_t owner = 0,
                                    std::string_view further_column = {}) const;
    [[nodiscard]] TableQuery bytes_of_variables(std::string_view where,
                                                std::string_view owner) const;
    [[nodiscard]] TableQuery candidates_of_tasks(std::string_view where,
                                                 std::string_view owner) const;
    [[nodiscard]] std::string name(camunda::Table table) const;

    std::string schema_; // quoted
    const TableColumns& columns_;
};

} // namespace netbuild::postgres
