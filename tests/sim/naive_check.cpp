// SPDX-License-Identifier: Apache-2.0
// The read model by plain rules over the rows, written without a look at the projection.
#include <set>

#include <fmt/format.h>

#include "checkers.hpp"
#include "model/collections.hpp"
#include "run.hpp"

namespace netbuild::sim {
namespace {

using camunda::Table;

template <class Column>
std::string cell(const StoredRow& row, Column column) {
    return row[static_cast<std::size_t>(column)].value_or(std::string());
}

std::string_view text_at(const Value& document, std::string_view path) {
    const Value* value = document.at_path(path);
    return value ? value->string_or() : std::string_view{};
}

std::string status_of(const StoredRow& row) {
    using Column = camunda::hi_procinst;
    const std::string state = cell(row, Column::state);
    if (state == "ACTIVE") return "active";
    if (state == "SUSPENDED") return "suspended";
    if (state == "COMPLETED") return "completed";
    return "terminated";
}

class Naive {
public:
    Naive(const Tables& tables, DocumentStore& store) : tables_(tables), store_(store) {}

    std::string check() {
        for (const auto& [key, row] : tables_) {
            if (key.first != Table::hi_procinst) continue;
            if (auto wrong = check_instance(key.second, *row); !wrong.empty())
                return "naively: instance " + key.second + " " + wrong;
        }
        return {};
    }

private:
    ValuePtr document(std::string_view collection, const std::string& id) {
        return must(context_, store_.get(collection, {id})).front();
    }

    std::string check_instance(const std::string& id, const StoredRow& row) {
        const ValuePtr execution = document(collections::workflow_executions, id);
        if (!execution) return "has no document";
        if (text_at(*execution, "executionId") != cell(row, camunda::hi_procinst::business_key))
            return "has another business key";
        if (text_at(*execution, "status") != status_of(row))
            return fmt::format("is {}, not {}", status_of(row), text_at(*execution, "status"));
        if (auto wrong = check_open_tasks(id, *execution); !wrong.empty()) return wrong;
        return check_variables(id, *execution);
    }

    std::string check_open_tasks(const std::string& id, const Value& execution) {
        std::set<std::string> open;
        for (const auto& [key, row] : tables_) {
            using Column = camunda::ru_task;
            if (key.first != Table::ru_task || cell(*row, Column::proc_inst_id) != id) continue;
            open.insert(key.second);
            const ValuePtr task = document(collections::tasks, key.second);
            if (!task) return "has a task without a document: " + key.second;
            if (text_at(*task, "assignee") != cell(*row, Column::assignee))
                return "has a task with another assignee: " + key.second;
        }
        std::set<std::string> shown;
        const Value* tasks = execution.at_path("activeTasks");
        if (const auto* entries = tasks ? tasks->get_if<Object>() : nullptr) {
            for (const auto& entry : *entries)
                shown.insert(unescape_key(entry.key));
        }
        return open == shown ? std::string() : "shows other open tasks";
    }

    /// Strings and whole numbers of the instance itself; the other types are the projection's art.
    std::string check_variables(const std::string& id, const Value& execution) {
        using Column = camunda::hi_varinst;
        for (const auto& [key, row] : tables_) {
            const bool own =
                key.first == Table::hi_varinst && cell(*row, Column::proc_inst_id) == id &&
                cell(*row, Column::execution_id) == id && cell(*row, Column::task_id).empty() &&
                cell(*row, Column::state) != "DELETED";
            if (!own) continue;
            const Value* variables = execution.at_path("variables");
            const auto* members = variables ? variables->get_if<Object>() : nullptr;
            const std::string name = cell(*row, Column::name);
            const Value* value = members ? members->find(escape_key(name)) : nullptr;
            if (!value) return "lacks variable " + name;
            const std::string type = cell(*row, Column::var_type);
            if (type == "string" && value->string_or() != cell(*row, Column::text))
                return "has another text in variable " + name;
            if ((type == "integer" || type == "long") &&
                std::to_string(value->integer_or(-1)) != cell(*row, Column::long_))
                return "has another number in variable " + name;
        }
        return {};
    }

    const Tables& tables_;
    DocumentStore& store_;
    asio::io_context context_;
};

} // namespace

std::string check_naively(const Tables& tables, DocumentStore& store) {
    return Naive(tables, store).check();
}

} // namespace netbuild::sim
