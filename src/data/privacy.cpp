// SPDX-License-Identifier: Apache-2.0
#include "data/privacy.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "data/audit.hpp"
#include "data/conversation_records.hpp"
#include "data/domain_records.hpp"
#include "data/embedding_records.hpp"
#include "data/idempotency_records.hpp"
#include "data/identity_records.hpp"
#include "data/payment_records.hpp"
#include "data/snapshot_records.hpp"
#include "wire/json.hpp"
#include "wire/sha256.hpp"

namespace netbuild::data {
namespace {

/// Of a page that is walked, and so of the memory that it takes.
constexpr std::size_t page_bytes_max = 32 * 1024 * 1024;
/// Somebody else's writes of one page of records; then of the whole: a pass that finds nothing more
/// ends it.
constexpr int attempts_max = 20, passes_max = 5;
constexpr std::string_view message_source = "message:";

RecordQuery all_of(const Collection& collection) {
    const std::size_t fit = page_bytes_max / collection.bytes_max;
    return {.collection = &collection,
            .limit = std::clamp<std::size_t>(fit, 1, RecordStore::writes_max)};
}

/// Another look shows what is left to do.
bool look_again(ErrorCode code) {
    return code == ErrorCode::conflict || code == ErrorCode::not_found ||
           code == ErrorCode::outcome_unknown;
}

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

std::string quoted(std::string_view text) {
    std::string json;
    append_json_string(json, text);
    return json;
}

/// The body as it is when nobody knows the person any more; of an append-only record only what is
/// declared to be personal.
template <class Person>
Object pseudonymised(const PersonalData& what, const Person& person, Object body) {
    for (const Field& field : what.collection->fields) {
        Value* value = body.find(field.name);
        if (value && (field.personal || !what.collection->append_only))
            *value = person.without(std::move(*value));
    }
    for (const std::string_view field : what.forgotten)
        body.erase(field);
    return body;
}

std::string summary(const PersonCounts& counts) {
    std::string text;
    for (const auto& [collection, count] : counts.records) {
        if (count > 0) text += fmt::format("{}{} {}", text.empty() ? "" : ", ", collection, count);
    }
    return text;
}

} // namespace

std::span<const PersonalData> personal_data() noexcept {
    static constexpr PersonalData all[] = {
        {.collection = &users, .fate = Fate::tombstone, .why = "the id must not be given again"},
        {.collection = &refresh_tokens,
         .fate = Fate::removed,
         .why = "nobody signs in with it",
         .via = "sessionId",
         .of = &sessions},
        {.collection = &reset_tokens, .fate = Fate::removed, .why = "nobody signs in with it"},
        {.collection = &sessions,
         .fate = Fate::removed,
         .why = "nobody signs in with it",
         .exported = "sessions"},
        {.collection = &api_keys,
         .fate = Fate::removed,
         .why = "who made a key has seen its secret",
         .exported = "apiKeys",
         .withheld = "secretHash"},
        {.collection = &memberships,
         .fate = Fate::removed,
         .why = "nobody has the role",
         .exported = "roles"},
        {.collection = &embeddings,
         .fate = Fate::removed,
         .why = "made of what the person wrote",
         .exported = "embeddings",
         .via = "source",
         .of = &messages},
        {.collection = &conversations,
         .fate = Fate::pseudonymised,
         .why = "others take part in it",
         .exported = "conversations",
         .forgotten = {"clientConversationId", "asked"}},
        {.collection = &messages,
         .fate = Fate::pseudonymised,
         .why = "others have answered it",
         .exported = "messages",
         .forgotten = {"clientMessageId"}},
        {.collection = &ai_contexts,
         .fate = Fate::pseudonymised,
         .why = "others' conversations need it",
         .exported = "aiContexts"},
        {.collection = &payments,
         .fate = Fate::kept,
         .why = "the law of accounts",
         .exported = "payments"},
        {.collection = &payment_events,
         .fate = Fate::kept,
         .why = "the law of accounts",
         .exported = "paymentEvents",
         .via = "paymentId",
         .of = &payments},
        {.collection = &task_snapshots,
         .fate = Fate::kept,
         .why = "a chain of hashes, kept as evidence",
         .exported = "taskSnapshots",
         .withheld = "content",
         .inside = "content"},
        {.collection = &audit,
         .fate = Fate::kept,
         .why = "who did what, by id",
         .exported = "audit"},
        {.collection = &domains,
         .fate = Fate::kept,
         .why = "who configured it, by id",
         .exported = "domains",
         .withheld = "settings"},
        {.collection = &domain_versions,
         .fate = Fate::kept,
         .why = "who configured it, by id",
         .exported = "domainVersions",
         .withheld = "content"},
        {.collection = &embedding_indexes,
         .fate = Fate::kept,
         .why = "who registered it, by id",
         .exported = "embeddingIndexes"},
        {.collection = &idempotency_keys, .fate = Fate::expires, .why = "after a day"},
        {.collection = &sign_in_attempts, .fate = Fate::removed, .why = "found by the address"},
        {.collection = &signing_keys, .why = "NetBuild's own"},
        {.collection = &snapshot_heads, .why = "a hash"},
        {.collection = &embedding_removals, .why = "numbers"},
    };
    return all;
}

bool Privacy::Person::is(std::string_view text) const {
    if (text.starts_with(id) && (text.size() == id.size() || text[id.size()] == '/')) return true;
    return !email_key.empty() && text.size() == email_key.size() &&
           std::equal(text.begin(), text.end(), email_key.begin(),
                      [](char one, char key) { return lower(one) == key; });
}

bool Privacy::Person::named_in(const Value& value) const {
    if (const auto* text = value.get_if<std::string>()) return is(*text);
    if (const auto* list = value.get_if<Array>())
        return std::any_of(list->begin(), list->end(),
                           [this](const Value& one) { return named_in(one); });
    const auto* object = value.get_if<Object>();
    return object && std::any_of(object->begin(), object->end(),
                                 [this](const auto& member) { return named_in(member.value); });
}

Value Privacy::Person::without(Value value) const {
    if (auto* text = value.get_if<std::string>()) {
        if (!is(*text)) return value;
        return text->starts_with(id) ? pseudonym + text->substr(id.size()) : pseudonym;
    }
    if (auto* list = value.get_if<Array>()) {
        for (Value& one : *list)
            one = without(std::move(one));
    } else if (auto* object = value.get_if<Object>()) {
        for (auto& member : *object)
            member.value = without(std::move(member.value));
    }
    return value;
}

Privacy::Person Privacy::person_of(const Value& user) {
    return {.id = record_id(user),
            .email = std::string(user.text_at("email")),
            .email_key = std::string(user.text_at("emailKey")),
            .pseudonym = std::string(user.text_at("pseudonym"))};
}

RecordWrite Privacy::audited(std::string actor, std::string action, std::string user,
                             std::string detail) {
    return audit_write({.actor = std::move(actor),
                        .action = std::move(action),
                        .target = std::move(user),
                        .detail = std::move(detail)},
                       now(), fmt::format("{:016x}", random_.next()));
}

awaitable<result<std::vector<ValuePtr>>>
Privacy::theirs(const PersonalData* what, const Person* person, std::vector<ValuePtr> records) {
    const std::string needles[] = {quoted(person->id), quoted(person->email),
                                   quoted(person->email_key)};
    std::vector<ValuePtr> found;
    std::vector<ValuePtr> unsure;
    std::vector<std::string> leads;
    for (ValuePtr& record : records) {
        const std::string_view json =
            what->inside.empty() ? std::string_view{} : record->text_at(what->inside);
        const bool inside =
            std::any_of(std::begin(needles), std::end(needles), [json](const std::string& needle) {
                return needle.size() > 2 && json.find(needle) != std::string_view::npos;
            });
        if (inside || person->named_in(*record)) {
            found.push_back(std::move(record));
            continue;
        }
        if (what->via.empty()) continue;
        std::string_view lead = record->text_at(what->via);
        if (lead.starts_with(message_source)) lead.remove_prefix(message_source.size());
        if (lead.empty()) continue;
        leads.emplace_back(lead);
        unsure.push_back(std::move(record));
    }
    if (leads.empty()) co_return found;
    CO_TRY(const auto led_to, co_await records_.get(*what->of, std::move(leads)));
    for (std::size_t i = 0; i < unsure.size(); ++i) {
        if (led_to[i] && person->named_in(*led_to[i])) found.push_back(std::move(unsure[i]));
    }
    co_return found;
}

awaitable<result<std::int64_t>> Privacy::export_list(const PersonalData* what, const Person* person,
                                                     const Sink* sink) {
    std::int64_t count = 0;
    RecordQuery query = all_of(*what->collection);
    do {
        CO_TRY(RecordPage page, co_await records_.find(query));
        CO_TRY(const auto found, co_await theirs(what, person, std::move(page.items)));
        std::string piece;
        for (const ValuePtr& record : found) {
            Object shown{{"id", record_id(*record)}};
            for (const auto& member : record_body(*record)) {
                if (member.key != what->withheld) shown.append(member.key, member.value);
            }
            piece += count++ == 0 ? "\n" : ",\n";
            append_json(piece, shown);
        }
        if (!piece.empty()) CO_TRY_VOID((*sink)(piece));
        query.after = page.next;
    } while (!query.after.empty());
    co_return count;
}

awaitable<result<PersonCounts>> Privacy::export_person(std::string user, std::string actor,
                                                       Sink sink) {
    CO_TRY(const ValuePtr record, co_await records_.one(users, user));
    const Person person = person_of(*record);
    // Before anything is given out.
    CO_TRY_VOID(co_await records_.commit(audited(std::move(actor), "user.export", user, "")));
    Object known = record_body(*record);
    for (const std::string_view secret : {"passwordHash", "pseudonym"})
        known.erase(secret);
    const auto member = [](std::string_view name, const Value& value) {
        return fmt::format("{}: {}", quoted(name), to_json(value));
    };
    CO_TRY_VOID(sink(fmt::format("{{{},\n{},\n{}", member("userId", user),
                                 member("exportedAt", now()), member("user", known))));
    PersonCounts counts;
    Object told;
    for (const PersonalData& what : personal_data()) {
        if (what.exported.empty()) continue;
        CO_TRY_VOID(sink(fmt::format(",\n{}: [", quoted(what.exported))));
        CO_TRY(const std::int64_t count, co_await export_list(&what, &person, &sink));
        CO_TRY_VOID(sink("]"));
        counts.records[what.collection->name] = count;
        told.append(std::string(what.exported), count);
    }
    CO_TRY_VOID(sink(fmt::format(",\n{}}}\n", member("counts", told))));
    co_return counts;
}

/// From now on nobody signs in. The pseudonym is in the record for as long as the erasure takes: a
/// run after a kill goes on with it.
awaitable<result<Privacy::Person>> Privacy::begin(std::string user, std::string actor) {
    for (int attempt = 1;; ++attempt) {
        CO_TRY(const ValuePtr record, co_await records_.one(users, user));
        if (record->text_at("status") == "erasing") co_return person_of(*record);
        Object body = record_body(*record);
        body.set("status", "erasing");
        body.set("pseudonym", fmt::format("erased_{:016x}{:016x}", random_.next(), random_.next()));
        body.erase("passwordHash");
        std::vector<RecordWrite> writes;
        writes.push_back(
            RecordWrite::replace(users, user, record_version(*record), std::move(body)));
        writes.push_back(audited(actor, "user.erase.begin", user, ""));
        auto begun = co_await records_.commit(std::move(writes));
        if (!begun && (!look_again(begun.error().code()) || attempt == attempts_max))
            co_return std::move(begun).error();
    }
}

awaitable<result<std::int64_t>> Privacy::remove_vectors(std::vector<ValuePtr> records,
                                                        PersonCounts* counts) {
    std::map<std::string, std::vector<std::string>> by_index;
    for (const ValuePtr& record : records) {
        if (record_version(*record) == 0) {
            ++counts->others;
            continue;
        }
        by_index[std::string(record->text_at("indexId"))].emplace_back(record->text_at("vectorId"));
    }
    std::int64_t removed = 0;
    for (auto& [index, ids] : by_index) {
        for (std::size_t at = 0; at < ids.size(); at += Embeddings::vectors_max) {
            const std::size_t step = std::min(Embeddings::vectors_max, ids.size() - at);
            const auto from = ids.begin() + static_cast<std::ptrdiff_t>(at);
            auto done = co_await embeddings_.remove(
                index, std::vector<std::string>(from, from + static_cast<std::ptrdiff_t>(step)));
            // An index that is being removed takes its vectors with it.
            if (!done && done.error().code() == ErrorCode::not_found) break;
            if (!done) co_return std::move(done).error();
            removed += *done;
            counts->indexes.insert(index);
        }
    }
    co_return removed;
}

awaitable<result<std::int64_t>> Privacy::erase_records(const PersonalData* what,
                                                       const Person* person,
                                                       std::vector<ValuePtr> records,
                                                       PersonCounts* counts) {
    if (what->collection == &embeddings)
        co_return co_await remove_vectors(std::move(records), counts);
    std::vector<RecordWrite> writes;
    for (const ValuePtr& record : records) {
        const std::string id = record_id(*record);
        const std::int64_t version = record_version(*record);
        if (what->collection->shared && version == 0) {
            ++counts->others;
            continue;
        }
        if (what->fate == Fate::removed) {
            writes.push_back(RecordWrite::erase(*what->collection, id, version));
            continue;
        }
        Object before = record_body(*record);
        Object after = pseudonymised(*what, *person, before);
        if (before == after) continue;
        writes.push_back(
            what->collection->append_only
                ? RecordWrite::redact(*what->collection, id, version, std::move(after))
                : RecordWrite::replace(*what->collection, id, version, std::move(after)));
    }
    const auto count = static_cast<std::int64_t>(writes.size());
    CO_TRY_VOID(co_await records_.commit(std::move(writes)));
    co_return count;
}

awaitable<result<std::int64_t>> Privacy::erase_in(const PersonalData* what, const Person* person,
                                                  PersonCounts* counts) {
    std::int64_t erased = 0;
    int attempt = 1;
    RecordQuery query = all_of(*what->collection);
    while (true) {
        CO_TRY(RecordPage page, co_await records_.find(query));
        CO_TRY(auto found, co_await theirs(what, person, std::move(page.items)));
        auto step = co_await erase_records(what, person, std::move(found), counts);
        if (!step && look_again(step.error().code()) && attempt++ < attempts_max) continue;
        if (!step) co_return std::move(step).error().within(what->collection->name);
        erased += *step;
        attempt = 1;
        if (page.next.empty()) co_return erased;
        query.after = page.next;
    }
}

awaitable<result<PersonCounts>> Privacy::erase_person(std::string user, std::string actor) {
    CO_TRY(const Person person, co_await begin(user, actor));
    PersonCounts counts;
    // What was under way when the sessions ended may have come behind our back.
    for (int pass = 1;; ++pass) {
        std::int64_t found = 0;
        counts.others = 0;
        for (const PersonalData& what : personal_data()) {
            if (what.fate != Fate::removed && what.fate != Fate::pseudonymised) continue;
            CO_TRY(const std::int64_t erased, co_await erase_in(&what, &person, &counts));
            counts.records[what.collection->name] += erased;
            found += erased;
        }
        if (found == 0) break;
        if (pass == passes_max)
            co_return fail(ErrorCode::conflict, "records of the user are still being written");
    }
    CO_TRY_VOID(co_await finish(person, std::move(actor), summary(counts)));
    co_return counts;
}

awaitable<result<void>> Privacy::finish(Person person, std::string actor, std::string detail) {
    for (int attempt = 1;; ++attempt) {
        CO_TRY(const ValuePtr record, co_await records_.one(users, person.id));
        if (record->text_at("status") == "erased") co_return result<void>{};
        const Value* erased_at = record->at_path("erasedAt");
        Object tombstone{{"status", "erased"},
                         {"createdAt", *record->at_path("createdAt")},
                         {"erasedAt", erased_at ? *erased_at : Value(now())}};
        std::vector<RecordWrite> writes;
        writes.push_back(
            RecordWrite::replace(users, person.id, record_version(*record), std::move(tombstone)));
        writes.push_back(audited(actor, "user.erase", person.id, detail));
        const std::string attempts = sha256_hex(person.email_key);
        CO_TRY(const auto counted, co_await records_.get(sign_in_attempts, {attempts}));
        if (counted.front())
            writes.push_back(
                RecordWrite::erase(sign_in_attempts, attempts, record_version(*counted.front())));
        auto done = co_await records_.commit(std::move(writes));
        if (done || !look_again(done.error().code()) || attempt == attempts_max) co_return done;
    }
}

} // namespace netbuild::data
