// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>

#include "ports/process_engine.hpp"
#include "postgres/connection.hpp"

namespace netbuild {

/// EngineClock of Camunda's database; one connection, opened when first asked.
class DatabaseClock final : public EngineClock {
public:
    DatabaseClock(asio::any_io_executor executor, Clock& clock, postgres::ConnectionOptions options)
        : executor_(std::move(executor)), clock_(clock), options_(std::move(options)) {}
    awaitable<result<Lsn>> flushed() override;
    awaitable<result<void>> nudge() override;

private:
    awaitable<result<std::string>> ask(std::string sql);

    asio::any_io_executor executor_;
    Clock& clock_;
    postgres::ConnectionOptions options_;
    std::unique_ptr<postgres::Connection> connection_;
};

} // namespace netbuild
