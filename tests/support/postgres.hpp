// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "postgres/connection.hpp"
#include "support/run.hpp"
#include "support/servers.hpp"

namespace netbuild::test {

/// The stack's Camunda database.
inline postgres::ConnectionOptions camunda_database() {
    postgres::ConnectionOptions options;
    options.parameters = {{"host", "127.0.0.1"},
                          {"port", server_port(32)},
                          {"dbname", "camunda"},
                          {"user", "camunda"},
                          {"password", "camunda"}};
    return options;
}

/// One statement on a connection of its own.
inline postgres::Rows execute(asio::io_context& context, Clock& clock, std::string sql,
                              std::vector<std::optional<std::string>> parameters = {}) {
    auto connection = must(
        context, postgres::Connection::connect(context.get_executor(), clock, camunda_database()));
    return must(context, connection->query({std::move(sql), std::move(parameters)}));
}

} // namespace netbuild::test
