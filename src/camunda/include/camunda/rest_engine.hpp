// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>
#include <string>

#include "ports/process_engine.hpp"

namespace netbuild {

/// Camunda's REST API (https://docs.camunda.org/rest/camunda-bpm-platform/7.24/) over kept
/// connections. http only: put a proxy in front where Camunda is not on a private network.
class RestEngine final : public ProcessEngine {
public:
    struct Options {
        /// "http://127.0.0.1:8080/engine-rest".
        std::string url;
        /// Basic authentication, if not empty.
        std::string user, password;
        Clock::duration timeout = std::chrono::seconds(10);
        std::size_t idle_connections_max = 20;
        std::size_t answer_bytes_max = 16 * 1024 * 1024;
    };
    RestEngine(asio::any_io_executor executor, Options options);
    ~RestEngine() override;
    awaitable<result<void>> ping() override;
    awaitable<result<std::vector<EngineExecution>>> executions(InstanceKey key) override;

private:
    class Impl;
    std::unique_ptr<Impl> impl_;
};

} // namespace netbuild
