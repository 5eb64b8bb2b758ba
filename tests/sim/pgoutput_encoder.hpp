// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <set>
#include <string>
#include <vector>

#include "model/transaction.hpp"

namespace netbuild::sim {

/// What one connection to a fake PostgreSQL sends: pgoutput, proto_version 1, the inverse of
/// PgoutputDecoder
/// (https://www.postgresql.org/docs/current/protocol-logicalrep-message-formats.html).
class PgoutputEncoder {
public:
    /// Begin, the relations that this connection has not described yet, the rows, Commit.
    [[nodiscard]] std::vector<std::string> encode(const Transaction& transaction, Lsn end);

private:
    std::set<camunda::Table> described_;
};

} // namespace netbuild::sim
