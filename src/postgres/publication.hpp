// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <map>
#include <set>
#include <string>

#include "model/camunda_schema.hpp"
#include "postgres/connection.hpp"

namespace netbuild::postgres {

/// The columns that Camunda's tables have in this database, of those that the projection reads.
using TableColumns = std::map<camunda::Table, std::set<std::string, std::less<>>>;

/// invalid_configuration if this is no Camunda 7 database, or its history level is not full.
awaitable<result<TableColumns>> check_engine(Connection& connection, std::string schema);

/// Creates the publication, or brings it up to date. A publication that serves is left alone, so a
/// role that owns no table can run once the owner has created it. forbidden, with the mend.
awaitable<result<void>> ensure_publication(Connection& connection, std::string name,
                                           std::string schema, const TableColumns& columns);

} // namespace netbuild::postgres
