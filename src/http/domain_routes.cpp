// SPDX-License-Identifier: Apache-2.0
#include "http/domain_routes.hpp"

#include <fmt/format.h>

#include "data/domain_records.hpp"
#include "page_reply.hpp"

namespace netbuild::http {
namespace {

std::string etag(const Value& record) { return fmt::format("\"{}\"", record_version(record)); }

Value shown(const Value& record) {
    Object body = record_body(record);
    body.set("domainId", record_id(record));
    body.set("version", record_version(record));
    return body;
}

} // namespace

void DomainRoutes::add_to(Routes& routes) {
    routes.add("GET", "/v1/domains", [this](Call& call) { return list(call); });
    routes.add("GET", "/v1/domains/{domainId}", [this](Call& call) { return get(call); });
    routes.add("PUT", "/v1/domains/{domainId}", [this](Call& call) { return put(call); });
    routes.add("GET", "/v1/domains/{domainId}/versions",
               [this](Call& call) { return versions(call); });
}

awaitable<result<Reply>> DomainRoutes::list(Call& call) {
    CO_TRY_VOID(call.only({"limit", "cursor"}));
    CO_TRY(const std::size_t limit, call.limit());
    CO_TRY(const RecordPage page,
           co_await domains_.list(call.scope(), limit, std::string(call.parameter("cursor"))));
    co_return page_reply(page, shown);
}

awaitable<result<Reply>> DomainRoutes::get(Call& call) {
    const std::string& id = call.segment("domainId");
    CO_TRY_VOID(call.admit(id, "domain " + id));
    // Who names a Position, or wants nothing of a cache, has just written it, perhaps elsewhere.
    const bool newest = !call.request.header("x-netbuild-min-position").empty() ||
                        call.request.header("cache-control") == "no-cache";
    CO_TRY(const ValuePtr record, co_await (newest ? domains_.get_stored(id) : domains_.get(id)));
    const std::string tag = etag(*record);
    if (call.request.header("if-none-match") == tag)
        co_return Reply{.status = 304, .headers = {{"ETag", tag}}};
    co_return Reply{.body = shown(*record), .headers = {{"ETag", tag}}};
}

awaitable<result<Reply>> DomainRoutes::put(Call& call) {
    const std::string& id = call.segment("domainId");
    CO_TRY_VOID(call.admit(id, "domain " + id));
    if (id == every_domain)
        co_return fail(ErrorCode::invalid_argument, "domainId: * stands for all of them");
    CO_TRY(const auto expected, call.if_match());
    CO_TRY(Object body, call.body(data::domain_fields));
    CO_TRY(const ValuePtr record,
           co_await domains_.put(id, std::move(body), expected, call.caller.subject));
    co_return Reply{.status = expected ? 200 : 201,
                    .body = shown(*record),
                    .headers = {{"ETag", etag(*record)}}};
}

awaitable<result<Reply>> DomainRoutes::versions(Call& call) {
    const std::string& id = call.segment("domainId");
    CO_TRY_VOID(call.admit(id, "domain " + id));
    CO_TRY_VOID(call.only({"limit", "cursor"}));
    CO_TRY(const std::size_t limit, call.limit());
    CO_TRY(const RecordPage page,
           co_await domains_.versions(id, limit, std::string(call.parameter("cursor"))));
    co_return page_reply(page, [&](const Value& record) {
        Object item = *record.at_path("content")->get_if<Object>();
        item.set("domainId", id);
        item.set("version", *record.at_path("number"));
        return item;
    });
}

} // namespace netbuild::http
