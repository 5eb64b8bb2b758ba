// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "ports/process_engine.hpp"
#include "postgres/pool.hpp"
#include "runtime/time_zone.hpp"

namespace netbuild {

/// Process state and tasks from Camunda's database: one round trip, one snapshot. formKey and
/// camundaFormRef are null: only the BPMN has them.
class DatabaseEngine final : public ProcessEngine {
public:
    DatabaseEngine(postgres::Pool& pool, std::string schema, TimeZone zone)
        : pool_(pool), schema_(postgres::quote_identifier(schema)), zone_(std::move(zone)) {}
    awaitable<result<void>> ping() override;
    awaitable<result<std::vector<EngineExecution>>> executions(InstanceKey key) override;

private:
    [[nodiscard]] Value date(std::optional<std::string_view> text) const;

    postgres::Pool& pool_;
    std::string schema_;
    TimeZone zone_;
};

} // namespace netbuild
