// SPDX-License-Identifier: Apache-2.0
#include "snapshots/verify_snapshots.hpp"

#include <charconv>

#include <fmt/format.h>

#include "data/snapshot_records.hpp"
#include "snapshots/links.hpp"
#include "wire/canonical_json.hpp"
#include "wire/sha256.hpp"

namespace netbuild::snapshots {
namespace {

using Op = RecordCondition::Operator;

/// Contents may be large.
constexpr std::size_t page = 50;
constexpr int content_depth_max = 250;
/// A chain's end may have moved on between two reads.
constexpr int looks_max = 5;

/// Of one snapshot by itself; empty: it is as it was made.
std::string changed(const Value& record, const Link& link) {
    const Value* content_value = record.at_path("content");
    if (!content_value || !content_value->is<std::string>()) return "has no content";
    const std::string_view text = content_value->string_or();
    if (sha256_hex(text) != link.content_hash) return "its content was changed";
    if (link.hash() != record.text_at("hash")) return "its place or its hash was changed";
    if (record_version(record) != 1) return "it was replaced";
    const auto content = parse_canonical_json(text, content_depth_max);
    if (!content) return "its content is no JSON";
    if (content->text_at("id") != link.id) return "its content is another snapshot's";
    for (const char* key : {"taskId", "processInstanceId", "executionId", "domainId"}) {
        if (record.text_at(key) != content->text_at(key))
            return fmt::format("{} is not that of its content", key);
    }
    const std::string_view instance = content->text_at("processInstanceId");
    if (link.chain != (instance.empty() ? content->text_at("taskId") : instance))
        return "it is in another's chain";
    return {};
}

struct Head {
    std::int64_t sequence = 0;
    std::string hash = no_hash;
    bool there = false;
};

class Verification {
public:
    Verification(RecordStore& records, std::function<void(const SnapshotReport&)> progress)
        : records_(records), progress_(std::move(progress)) {}

    awaitable<result<SnapshotReport>> run(std::string expected_head) {
        CO_TRY(expected_, parse_head(expected_head));
        CO_TRY_VOID(co_await walk_chains());
        CO_TRY_VOID(co_await walk_sequence());
        CO_TRY_VOID(co_await look_behind_the_head());
        co_return std::move(report_);
    }

private:
    static result<std::optional<Head>> parse_head(std::string_view text) {
        if (text.empty()) return std::optional<Head>();
        Head head;
        const auto [end, ec] =
            std::from_chars(text.data(), text.data() + text.size(), head.sequence);
        const auto colon = static_cast<std::size_t>(end - text.data());
        if (ec != std::errc{} || colon >= text.size() || text[colon] != ':' ||
            text.size() - colon != 65)
            return fail(ErrorCode::invalid_argument,
                        "head: must be SEQUENCE:HASH, as an earlier run printed it");
        head.hash = text.substr(colon + 1);
        return std::optional(std::move(head));
    }

    awaitable<result<Head>> read_head() {
        CO_TRY(const auto found, co_await records_.get(data::snapshot_heads, {"head"}));
        if (!found.front()) co_return Head{};
        co_return Head{found.front()->at_path("sequence")->integer_or(),
                       std::string(found.front()->text_at("hash")), true};
    }

    /// Each chain by itself: 1, 2, 3 …, each with the hash of the one before it.
    awaitable<result<void>> walk_chains() {
        RecordQuery query{
            .collection = &data::task_snapshots, .sort = {"chain", "number"}, .limit = page};
        Link before;
        std::string before_hash = no_hash;
        while (true) {
            CO_TRY(const RecordPage found, co_await records_.find(query));
            for (const ValuePtr& record : found.items) {
                const Link link = link_of(*record);
                if (link.chain != before.chain || report_.snapshots == 0) {
                    before = {.chain = link.chain};
                    before_hash = no_hash;
                    ++report_.chains;
                }
                ++report_.snapshots;
                std::string what = changed(*record, link);
                if (what.empty() && link.number != before.number + 1)
                    what = fmt::format("number {} of its chain is missing in front of it",
                                       before.number + 1);
                if (what.empty() && link.previous_hash != before_hash)
                    what = "it does not hold the hash of the one before it in its chain";
                note(link, std::move(what));
                before = link;
                before_hash = record->text_at("hash");
            }
            if (progress_) progress_(report_);
            if (found.next.empty()) co_return result<void>{};
            query.after = found.next;
        }
    }

    /// All of them: 1, 2, 3 … up to the head.
    awaitable<result<void>> walk_sequence() {
        CO_TRY(const Head head, co_await read_head());
        report_.head_sequence = head.sequence;
        report_.head_hash = head.hash;
        RecordQuery query{.collection = &data::task_snapshots,
                          .where = {{"sequence", Op::less_or_equal, head.sequence}},
                          .sort = {"sequence"},
                          .limit = page};
        Link before;
        std::string before_hash = no_hash;
        while (true) {
            CO_TRY(const RecordPage found, co_await records_.find(query));
            for (const ValuePtr& record : found.items) {
                const Link link = link_of(*record);
                if (link.sequence != before.sequence + 1) {
                    note(
                        Link{.sequence = before.sequence + 1},
                        fmt::format("it was removed: the next that is there is {}", link.sequence));
                } else if (link.previous_in_all != before_hash) {
                    note(link, "it does not hold the hash of the one before it in all");
                }
                before = link;
                before_hash = record->text_at("hash");
                check_expected(before, before_hash);
            }
            if (found.next.empty()) break;
            query.after = found.next;
        }
        if (before.sequence < head.sequence) {
            note(Link{.sequence = before.sequence + 1}, "it was removed: the head knows of it");
        } else if (head.there && before_hash != head.hash) {
            note(before, "it is not the newest that the head knows");
        }
        if (expected_ && expected_->sequence > before.sequence)
            note(Link{.sequence = before.sequence + 1},
                 "it was removed: the head that was kept knows of it");
        co_return result<void>{};
    }

    void check_expected(const Link& link, const std::string& hash) {
        if (expected_ && expected_->sequence == link.sequence && expected_->hash != hash)
            note(link, "its hash is not the one that was kept");
    }

    /// What has no place below the head was not put there by us.
    awaitable<result<void>> look_behind_the_head() {
        for (int look = 0; look < looks_max; ++look) {
            CO_TRY(const Head head, co_await read_head());
            CO_TRY(const ValuePtr beyond,
                   co_await records_.first({.collection = &data::task_snapshots,
                                            .where = {{"sequence", Op::greater, head.sequence}},
                                            .sort = {"sequence"}}));
            if (!beyond) co_return result<void>{};
            CO_TRY(const Head now, co_await read_head());
            const Link link = link_of(*beyond);
            if (link.sequence <= now.sequence) continue; // taken just now
            note(link,
                 now.there ? "it was inserted: the head does not know it" : "the head was removed");
            co_return result<void>{};
        }
        co_return result<void>{};
    }

    void note(const Link& link, std::string what) {
        if (what.empty()) return;
        ++report_.broken_count;
        if (report_.first && report_.first->sequence <= link.sequence) return;
        report_.first = BrokenLink{.id = link.id,
                                   .sequence = link.sequence,
                                   .chain = link.chain,
                                   .number = link.number,
                                   .what = std::move(what)};
    }

    RecordStore& records_;
    std::function<void(const SnapshotReport&)> progress_;
    std::optional<Head> expected_;
    SnapshotReport report_;
};

} // namespace

awaitable<result<SnapshotReport>>
verify_snapshots(RecordStore& records, std::string expected_head,
                 std::function<void(const SnapshotReport& so_far)> progress) {
    Verification verification(records, std::move(progress));
    co_return co_await verification.run(std::move(expected_head));
}

} // namespace netbuild::snapshots
