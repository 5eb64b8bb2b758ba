// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "app/adapters.hpp"
#include "data/embeddings.hpp"
#include "query/query_service.hpp"
#include "runtime/random.hpp"
#include "sync/progress.hpp"
#include "sync/verify.hpp"

namespace netbuild::app {

/// Which parts of the product run in this process.
struct Roles {
    bool sync = true;
    bool api = true;
    bool realtime = true;
    /// NetBuild's own jobs: scheduled and asked for verifies, what has expired.
    bool jobs = true;
    /// "sync,api". invalid_argument.
    [[nodiscard]] static result<Roles> parse(std::string_view text);
};

/// The whole product for one configuration, on one executor.
class Application {
public:
    static result<std::unique_ptr<Application>> create(asio::any_io_executor executor,
                                                       Configuration configuration);
    ~Application();

    /// Stores and, with `source`, the source answer. unavailable names the first that does not;
    /// until `wait` has passed it is tried again.
    awaitable<result<void>> connect(bool source, Clock::duration wait);
    /// NetBuild's own data answers and is as declared; what was to be done for that.
    awaitable<result<std::vector<SchemaChange>>> prepare_records();
    /// Runs the roles until SIGINT or SIGTERM, or a failure that no retry mends.
    awaitable<result<void>> serve(Roles roles);
    /// Captures until the source ends.
    awaitable<result<void>> capture();

    /// GET /v1/sync and `netbuild status`; asks the servers.
    awaitable<Value> status();

    /// For sync::verify(). unsupported: the source has no tables; not_found: nothing was captured.
    awaitable<result<sync::VerifyPorts>> verify_ports();

    [[nodiscard]] query::QueryService& queries();
    [[nodiscard]] DocumentStore& store();
    [[nodiscard]] RecordStore& records();
    [[nodiscard]] identity::Identity& identity();
    [[nodiscard]] data::Embeddings& embeddings();
    [[nodiscard]] VectorIndexes& vectors();
    [[nodiscard]] EventBus& bus();
    [[nodiscard]] ChangeSource& source();
    [[nodiscard]] Clock& clock();
    [[nodiscard]] sync::Progress& progress();
    [[nodiscard]] const Configuration& configuration() const;
    [[nodiscard]] asio::any_io_executor executor() const;

private:
    class Impl;
    explicit Application(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

} // namespace netbuild::app
