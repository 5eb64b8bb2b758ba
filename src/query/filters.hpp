// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "ports/document_store.hpp"
#include "query/query_service.hpp"

namespace netbuild::query {

/// What a list accepts, and the query that it becomes.
struct ListRequest {
    Query query;
    /// Conditions on the execution that a task belongs to.
    std::vector<std::pair<std::string, std::string>> variables;
};

[[nodiscard]] result<ListRequest> executions_request(const Parameters& parameters);
[[nodiscard]] result<ListRequest> tasks_request(const Parameters& parameters);
[[nodiscard]] result<ListRequest> definitions_request(const Parameters& parameters);

/// `variable.NAME=VALUE`: VALUE (after gt:, lt:, like:) is compared by the variable's own type.
[[nodiscard]] result<void> add_variable(Filter& filter, std::string_view name,
                                        std::string_view value);
/// The only values that `parameters` may have; anything else is invalid_argument with its name.
[[nodiscard]] result<void> only(const Parameters& parameters,
                                std::initializer_list<std::string_view> names);
[[nodiscard]] std::string_view parameter(const Parameters& parameters, std::string_view name,
                                         std::string_view otherwise = {});
[[nodiscard]] result<std::size_t> limit_of(const Parameters& parameters);

} // namespace netbuild::query
