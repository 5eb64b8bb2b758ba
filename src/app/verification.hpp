// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <optional>

#include "app/configuration.hpp"
#include "ports/document_store.hpp"
#include "query/query_service.hpp"
#include "sync/verify.hpp"

namespace netbuild::app {

/// What a comparison of read model and engine works on, for `netbuild verify` and the scheduled
/// one. not_found: there is no read model yet.
awaitable<result<sync::VerifyPorts>> verify_ports(asio::any_io_executor executor, Clock& clock,
                                                  const Configuration& configuration,
                                                  DocumentStore& store,
                                                  query::QueryService& queries);

/// The newest comparison of this process, for status and metrics.
struct VerifyOutcome {
    std::int64_t at_us = 0;
    std::int64_t took_ms = 0;
    Position position;
    std::uint64_t documents = 0, differences = 0, newer = 0, retained = 0;
    /// It did not come to its end.
    std::string trouble;
    [[nodiscard]] Object to_object() const;
};

/// What a job of `netbuild:verify` does: compares once; the outcome as JSON, and in `newest`.
awaitable<result<std::string>> verify_as_job(asio::any_io_executor executor, Clock& clock,
                                             const Configuration& configuration,
                                             const sync::ProjectionOptions& options,
                                             DocumentStore& store, query::QueryService& queries,
                                             std::optional<VerifyOutcome>& newest);

} // namespace netbuild::app
