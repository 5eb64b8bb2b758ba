// SPDX-License-Identifier: Apache-2.0
#include "data/domains.hpp"

#include <fmt/format.h>

#include "data/audit.hpp"
#include "data/domain_records.hpp"

namespace netbuild::data {

awaitable<result<ValuePtr>> Domains::get(std::string id) {
    if (!cache_) co_return co_await get_stored(std::move(id));
    CO_TRY(auto record, co_await cache_->get(id));
    if (!record) co_return fail(ErrorCode::not_found, "domain " + id);
    co_return record;
}

awaitable<result<ValuePtr>> Domains::get_stored(std::string id) {
    co_return co_await records_.one(domains, std::move(id));
}

awaitable<result<ValuePtr>> Domains::put(std::string id, Object body,
                                         std::optional<std::int64_t> expected, std::string actor) {
    const Date now{clock_.utc_us() / 1000};
    body.set("updatedAt", now);
    body.set("updatedBy", actor);
    const std::int64_t number = expected.value_or(0) + 1;
    std::vector<RecordWrite> writes;
    writes.push_back(expected ? RecordWrite::replace(domains, id, *expected, body)
                              : RecordWrite::insert(domains, id, body));
    writes.push_back(
        RecordWrite::insert(domain_versions, fmt::format("{}/{:010}", id, number),
                            Object{{"domainId", id}, {"number", number}, {"content", body}}));
    writes.push_back(audit_write({.actor = std::move(actor),
                                  .action = expected ? "domain.replace" : "domain.create",
                                  .target = id,
                                  .domain = id,
                                  .detail = fmt::format("version {}", number)},
                                 now, fmt::format("{}/{}", id, number)));
    auto done = co_await records_.commit(std::move(writes));
    if (!done && (done.error().error_class() == ErrorClass::conflict ||
                  (expected && done.error().code() == ErrorCode::not_found)))
        co_return fail(ErrorCode::precondition_failed, "domain " + id);
    if (!done) co_return std::move(done).error();
    if (cache_) co_await cache_->forget(id);
    co_return co_await get_stored(std::move(id));
}

awaitable<result<RecordPage>> Domains::list(Scope scope, std::size_t limit, std::string after) {
    RecordQuery query{.collection = &domains, .limit = limit, .after = std::move(after)};
    if (!scope.all)
        query.where.push_back({"_id", RecordCondition::Operator::in,
                               Array(scope.domains.begin(), scope.domains.end())});
    co_return co_await records_.find(std::move(query));
}

awaitable<result<RecordPage>> Domains::versions(std::string id, std::size_t limit,
                                                std::string after) {
    RecordQuery query{.collection = &domain_versions,
                      .where = {{.field = "domainId", .value = std::move(id)}},
                      .sort = {"number"},
                      .descending = true,
                      .limit = limit,
                      .after = std::move(after)};
    co_return co_await records_.find(std::move(query));
}

} // namespace netbuild::data
