// SPDX-License-Identifier: Apache-2.0
#include "data/idempotency.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "data/idempotency_records.hpp"
#include "runtime/backoff.hpp"
#include "wire/canonical_json.hpp"
#include "wire/sha256.hpp"

namespace netbuild::data {
namespace {

constexpr std::size_t key_bytes_max = 255;

Date after(std::int64_t now_us, std::chrono::milliseconds time) {
    return Date{now_us / 1000 + time.count()};
}

/// Somebody else's write was first: look again.
bool overtaken(ErrorCode code) {
    return code == ErrorCode::already_exists || code == ErrorCode::conflict ||
           code == ErrorCode::not_found;
}

} // namespace

result<std::string> read_idempotency_key(std::string_view header) {
    if (header.empty())
        return fail(ErrorCode::invalid_argument,
                    "Idempotency-Key: is missing; every write has one");
    const bool visible =
        std::all_of(header.begin(), header.end(), [](char c) { return c > 0x20 && c < 0x7F; });
    if (!visible || header.size() > key_bytes_max)
        return fail(ErrorCode::invalid_argument,
                    fmt::format("Idempotency-Key: must be 1 to {} visible ASCII characters",
                                key_bytes_max));
    return std::string(header);
}

std::string request_fingerprint(std::string_view method, std::string_view path, const Value& body) {
    Sha256 hash;
    hash.add(method);
    hash.add(" ");
    hash.add(path);
    hash.add("\n");
    hash.add(canonical_json(body));
    return hash.hex();
}

awaitable<result<KeptAnswer>> Idempotency::once(KeyedRequest request, Decide decide) {
    const std::string id = sha256_hex(request.subject + '\n' + request.key);
    Backoff backoff({std::chrono::milliseconds(1), std::chrono::milliseconds(50)}, random_);
    for (int tries = 0; tries < attempts_max; ++tries) {
        CO_TRY(auto known, co_await kept(id, request.fingerprint));
        if (known) co_return std::move(*known);
        CO_TRY(auto done, co_await attempt(id, request, decide));
        if (done) co_return std::move(*done);
        CO_TRY_VOID(co_await clock_.sleep(backoff.next()));
    }
    co_return fail(ErrorCode::overloaded, "others kept changing it; try again with the same key");
}

/// nullopt: somebody else was first.
awaitable<result<std::optional<KeptAnswer>>>
Idempotency::attempt(const std::string& id, const KeyedRequest& request, const Decide& decide) {
    auto decision = co_await decide();
    if (!decision) {
        if (decision.error().code() != ErrorCode::conflict) co_return std::move(decision).error();
        auto noted = co_await records_.commit(
            record(id, request, Object{{"refusal", decision.error().detail()}}));
        if (noted) co_return std::move(decision).error();
        if (overtaken(noted.error().code())) co_return std::nullopt;
        co_return std::move(noted).error();
    }
    decision->writes.push_back(record(id, request,
                                      Object{{"status", std::int64_t{decision->answer.status}},
                                             {"answer", decision->answer.body}}));
    auto written = co_await records_.commit(std::move(decision->writes));
    if (written) co_return std::move(decision->answer);
    const Error error = std::move(written).error();
    if (overtaken(error.code())) co_return std::nullopt;
    if (error.code() != ErrorCode::outcome_unknown) co_return error;
    // It may have been done all the same. If that cannot be seen now, a retry will.
    CO_TRY(auto known, co_await kept(id, request.fingerprint));
    if (known) co_return std::move(known);
    co_return error;
}

awaitable<result<std::optional<KeptAnswer>>> Idempotency::kept(const std::string& id,
                                                               const std::string& fingerprint) {
    CO_TRY(const auto found, co_await records_.get(idempotency_keys, {id}));
    if (!found.front()) co_return std::nullopt;
    const Value& known = *found.front();
    if (known.at_path("fingerprint")->string_or() != fingerprint)
        co_return fail(ErrorCode::conflict, "Idempotency-Key: stands for another request");
    if (const Value* refusal = known.at_path("refusal"))
        co_return fail(ErrorCode::conflict, std::string(refusal->string_or()));
    co_return KeptAnswer{static_cast<int>(known.at_path("status")->integer_or()),
                         std::string(known.at_path("answer")->string_or())};
}

RecordWrite Idempotency::record(const std::string& id, const KeyedRequest& request,
                                Object answer) const {
    const std::int64_t now_us = clock_.utc_us();
    answer.set("fingerprint", request.fingerprint);
    answer.set("createdAt", Date{now_us / 1000});
    answer.set("expiresAt", after(now_us, kept_for));
    return RecordWrite::insert(idempotency_keys, id, std::move(answer));
}

} // namespace netbuild::data
