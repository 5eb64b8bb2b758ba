// SPDX-License-Identifier: Apache-2.0
#include "data/conversations.hpp"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include "data/conversation_records.hpp"
#include "data/time_ordered_id.hpp"
#include "wire/base64url.hpp"

namespace netbuild::data {

using Op = RecordCondition::Operator;

namespace {

/// Each lost attempt is a message that another process has put in its place.
constexpr int post_attempts_max = 64;

constexpr std::string_view message_order[] = {"conversationId", "sequence", "number"};

/// What a request can say of a record; to be compared with what was said before.
Object asked_of(std::span<const Field> fields, const Object& body) {
    Object asked;
    for (const Field& field : fields) {
        const Value* value = field.server ? nullptr : body.find(field.name);
        if (value) asked.append(std::string(field.name), *value);
    }
    return asked;
}

Error no_message(std::string_view id) {
    return fail(ErrorCode::not_found, fmt::format("message {}", id));
}

/// A cursor is a direction and the sequence number that it starts behind.
std::string cursor_of(char direction, const Value& message) {
    return encode_base64url(fmt::format("{}{}", direction, message.integer_at("sequence")));
}

struct Cursor {
    bool backwards = false;
    std::int64_t beyond = 0;
};

result<Cursor> read_cursor(const std::string& text) {
    Cursor cursor;
    if (text.empty()) return cursor;
    std::string decoded;
    const bool read = text.size() < 64 && decode_base64url(text, decoded) && decoded.size() > 1;
    if (read && (decoded[0] == 'n' || decoded[0] == 'p')) {
        cursor.backwards = decoded[0] == 'p';
        const char* const last = decoded.data() + decoded.size();
        const auto [end, ec] = std::from_chars(decoded.data() + 1, last, cursor.beyond);
        if (ec == std::errc{} && end == last && cursor.beyond > 0) return cursor;
    }
    return fail(ErrorCode::invalid_argument, "cursor: not one that this list gave out");
}

/// Of states that lie side by side the newest one.
void add_newest(std::vector<ValuePtr>& newest, const std::vector<ValuePtr>& states,
                bool descending) {
    for (const ValuePtr& state : states) {
        const bool same = !newest.empty() &&
                          newest.back()->integer_at("sequence") == state->integer_at("sequence");
        if (!same) {
            newest.push_back(state);
        } else if (!descending) {
            newest.back() = state;
        }
    }
}

result<void> check_content(const Object& body) {
    const Value* text = body.find("text");
    const Value* attachments = body.find("attachments");
    const auto* list = attachments ? attachments->get_if<Array>() : nullptr;
    if ((!text || text->string_or().empty()) && (!list || list->empty()))
        return fail(ErrorCode::invalid_argument, "text: is missing, and there is no attachment");
    for (std::size_t i = 0; list && i < list->size(); ++i) {
        if ((*list)[i].integer_at("sizeBytes") < 0)
            return fail(ErrorCode::invalid_argument,
                        fmt::format("attachments[{}].sizeBytes: must not be negative", i));
    }
    return {};
}

bool may_moderate(const Caller& caller, std::string_view domain) {
    const auto role = caller.role_in(domain);
    return role && rank(*role) >= rank(Role::admin);
}

/// Whose message it is: a service may speak for a user or for a model.
result<std::string> author_of(const Object& body, const Caller& caller, std::string_view domain) {
    const Value* author = body.find("author");
    if (!author || author->string_or() == caller.subject) return caller.subject;
    if (!may_moderate(caller, domain) && caller.role_in(domain) != Role::service)
        return fail(ErrorCode::forbidden, "only services and admins name another author");
    return std::string(author->string_or());
}

} // namespace

/// What is known of a conversation's end, and who is posting there.
struct Conversations::Turn {
    explicit Turn(const asio::any_io_executor& executor) : ended(executor) {}
    bool busy = false;
    std::size_t waiting = 0;
    /// Of the last message that is known to be in the store; nullopt: look.
    std::optional<std::int64_t> sequence;
    std::string id;
    Signal ended;
};

/// One post of a conversation at a time in this process: its number needs the one before it.
class Conversations::Lease {
public:
    explicit Lease(std::shared_ptr<Turn> turn) : turn_(std::move(turn)) { turn_->busy = true; }
    Lease(Lease&&) noexcept = default;
    Lease& operator=(Lease&& other) noexcept {
        std::swap(turn_, other.turn_);
        return *this;
    }
    ~Lease() {
        if (!turn_) return;
        turn_->busy = false;
        turn_->ended.notify_all();
    }
    Turn& operator*() const { return *turn_; }

private:
    std::shared_ptr<Turn> turn_;
};

Conversations::Conversations(RecordStore& records, Clock& clock, asio::any_io_executor executor)
    : records_(records),
      clock_(clock),
      executor_(std::move(executor)),
      random_(Random::from_system()) {}
Conversations::~Conversations() = default;

awaitable<result<Conversations::Made>> Conversations::create(Object body, Caller caller) {
    Object asked = asked_of(conversation_fields, body);
    const bool keyed = asked.contains("clientConversationId");
    if (keyed) body.set("asked", asked);
    body.set("createdAt", now());
    body.set("createdBy", caller.subject);
    body.set("updatedAt", now());
    RecordWrite write = RecordWrite::insert(
        conversations, time_ordered_id(now().milliseconds, random_), std::move(body));
    auto record = std::make_shared<const Value>(stored_record(write));
    auto written = co_await records_.commit(std::move(write));
    if (!written && keyed && written.error().code() == ErrorCode::already_exists)
        co_return co_await created_before(std::move(asked));
    if (!written) co_return std::move(written).error();
    co_return Made{std::move(record)};
}

awaitable<result<Conversations::Made>> Conversations::created_before(Object asked) {
    CO_TRY(ValuePtr there,
           co_await records_.first({.collection = &conversations,
                                    .where = {{"domainId", Op::equal, *asked.find("domainId")},
                                              {"clientConversationId", Op::equal,
                                               *asked.find("clientConversationId")}}}));
    if (!there) co_return fail(ErrorCode::conflict, "the conversation is gone");
    // As it was created: a title that was changed since is none of the request's.
    const Value* then = there->at_path("asked");
    if (!then || !(*then == Value(std::move(asked))))
        co_return fail(ErrorCode::conflict, "clientConversationId: stands for another body");
    co_return Made{std::move(there), true};
}

awaitable<result<ValuePtr>> Conversations::conversation(std::string id) {
    auto found = co_await records_.one(conversations, id);
    if (!found && found.error().code() == ErrorCode::not_found)
        co_return fail(ErrorCode::not_found, "conversation " + id);
    co_return found;
}

awaitable<result<std::string>> Conversations::domain_of(std::string id) {
    if (const auto known = domains_.find(id); known != domains_.end()) co_return known->second;
    CO_TRY(const ValuePtr record, co_await conversation(id));
    std::string domain(record->text_at("domainId"));
    if (domains_.size() >= known_max) domains_.clear();
    domains_.emplace(std::move(id), domain);
    co_return domain;
}

awaitable<result<ValuePtr>> Conversations::change(std::string id, std::int64_t version,
                                                  Object body) {
    CO_TRY(const ValuePtr there, co_await conversation(id));
    Object record = record_body(*there);
    for (const Field& field : conversation_change_fields) {
        record.erase(field.name);
        if (const Value* value = body.find(field.name)) record.set(field.name, *value);
    }
    record.set("updatedAt", now());
    RecordWrite write = RecordWrite::replace(conversations, id, version, std::move(record));
    auto changed = std::make_shared<const Value>(stored_record(write));
    auto written = co_await records_.commit(std::move(write));
    if (!written && written.error().code() == ErrorCode::conflict)
        co_return fail(ErrorCode::precondition_failed, "conversation " + id);
    if (!written) co_return std::move(written).error();
    co_return changed;
}

awaitable<result<RecordPage>> Conversations::list(ListQuery query) {
    RecordQuery records{.collection = &conversations,
                        .sort = {"createdAt"},
                        .descending = true,
                        .limit = query.limit,
                        .after = query.after,
                        .before = query.before};
    if (!query.scope.all)
        records.where.push_back(
            {"domainId", Op::in, Array(query.scope.domains.begin(), query.scope.domains.end())});
    for (const auto& [field, value] :
         {std::pair("domainId", &query.domain), std::pair("executionId", &query.execution),
          std::pair("taskId", &query.task)}) {
        if (!value->empty()) records.where.push_back({field, Op::equal, *value});
    }
    co_return co_await records_.find(std::move(records));
}

awaitable<result<Conversations::Lease>> Conversations::turn(std::string conversation) {
    auto found = turns_.find(conversation);
    if (found == turns_.end()) {
        if (turns_.size() >= known_max)
            std::erase_if(turns_, [](const auto& entry) {
                return !entry.second->busy && entry.second->waiting == 0;
            });
        found = turns_.emplace(conversation, std::make_shared<Turn>(executor_)).first;
    }
    const std::shared_ptr<Turn> turn = found->second;
    if (turn->waiting >= posts_waiting_max)
        co_return fail(ErrorCode::overloaded, "conversation " + conversation);
    ++turn->waiting;
    result<void> waited;
    while (turn->busy && waited)
        waited = co_await turn->ended.wait();
    --turn->waiting;
    if (!waited) co_return std::move(waited).error();
    co_return Lease(turn);
}

awaitable<result<RecordPage>> Conversations::states(std::string conversation, bool descending,
                                                    std::int64_t beyond, std::size_t limit) {
    RecordQuery query{.collection = &messages,
                      .where = {{"conversationId", Op::equal, std::move(conversation)}},
                      .sort = {std::begin(message_order), std::end(message_order)},
                      .descending = descending,
                      .limit = limit};
    if (beyond > 0)
        query.where.push_back({"sequence", descending ? Op::less : Op::greater, beyond});
    co_return co_await records_.find(std::move(query));
}

awaitable<result<void>> Conversations::read_head(std::string conversation, Turn& turn) {
    CO_TRY(const RecordPage last, co_await states(std::move(conversation), true, 0, 1));
    turn.sequence = last.items.empty() ? 0 : last.items.front()->integer_at("sequence");
    turn.id = last.items.empty() ? "" : std::string(last.items.front()->text_at("messageId"));
    co_return result<void>{};
}

awaitable<result<Conversations::Made>> Conversations::post(std::string conversation, Object body,
                                                           Caller caller) {
    CO_TRY_VOID(check_content(body));
    CO_TRY(const std::string domain, co_await domain_of(conversation));
    CO_TRY(std::string author, author_of(body, caller, domain));
    body.set("author", std::move(author));
    body.set("conversationId", conversation);
    Object asked = asked_of(message_fields, body);
    asked.set("conversationId", conversation);
    body.set("domainId", domain);
    body.set("number", std::int64_t{1});
    body.set("state", "posted");
    body.set("by", caller.subject);
    CO_TRY(const Lease lease, co_await turn(conversation));
    for (int attempt = 1; attempt <= post_attempts_max; ++attempt) {
        if (!(*lease).sequence) CO_TRY_VOID(co_await read_head(conversation, *lease));
        CO_TRY(auto made, co_await try_post(*lease, body, asked));
        if (made) co_return std::move(*made);
    }
    co_return fail(ErrorCode::overloaded, "conversation " + conversation);
}

/// Nothing: another process has taken the number.
awaitable<result<std::optional<Conversations::Made>>>
Conversations::try_post(Turn& turn, Object body, Object asked) {
    const Date at = now();
    const std::int64_t sequence = *turn.sequence + 1;
    const std::string id = time_ordered_id(at.milliseconds, random_, turn.id);
    body.set("messageId", id);
    body.set("sequence", sequence);
    body.set("createdAt", at);
    body.set("at", at);
    RecordWrite write = RecordWrite::insert(messages, id, std::move(body));
    const auto record = std::make_shared<const Value>(stored_record(write));
    turn.sequence.reset(); // until it is known again
    auto written = co_await records_.commit(std::move(write));
    if (!written && written.error().code() == ErrorCode::outcome_unknown) {
        // The id is this attempt's own: where it is, it was done. It may also come later; with a
        // clientMessageId the client's retry finds out.
        const auto found = co_await records_.get(messages, {id});
        if (found && found->front()) written = result<void>{};
    }
    if (written) {
        turn.sequence = sequence;
        turn.id = id;
        co_return Made{record};
    }
    if (written.error().code() != ErrorCode::already_exists) co_return std::move(written).error();
    if (written.error().detail().find("clientMessageId") == std::string::npos)
        co_return std::optional<Made>();
    CO_TRY(Made made, co_await posted_before(std::move(asked)));
    co_return made;
}

awaitable<result<Conversations::Made>> Conversations::posted_before(Object asked) {
    CO_TRY(ValuePtr first,
           co_await records_.first(
               {.collection = &messages,
                .where = {{"conversationId", Op::equal, *asked.find("conversationId")},
                          {"clientMessageId", Op::equal, *asked.find("clientMessageId")},
                          {"number", Op::equal, std::int64_t{1}}}}));
    if (!first) co_return fail(ErrorCode::conflict, "the message is gone");
    Object then = asked_of(message_fields, record_body(*first));
    then.set("conversationId", *asked.find("conversationId"));
    if (!(then == asked))
        co_return fail(ErrorCode::conflict, "clientMessageId: stands for another body");
    co_return Made{std::move(first), true};
}

awaitable<result<ValuePtr>> Conversations::message(std::string conversation, std::string message) {
    CO_TRY(const auto states, co_await history(std::move(conversation), std::move(message)));
    co_return states.back();
}

awaitable<result<std::vector<ValuePtr>>> Conversations::history(std::string conversation,
                                                                std::string message) {
    CO_TRY(const auto found, co_await records_.get(messages, {message}));
    const ValuePtr& first = found.front();
    if (!first || first->text_at("conversationId") != conversation ||
        first->integer_at("number") != 1)
        co_return no_message(message);
    RecordQuery query{.collection = &messages,
                      .where = {{"conversationId", Op::equal, std::move(conversation)},
                                {"sequence", Op::equal, first->integer_at("sequence")}},
                      .sort = {std::begin(message_order), std::end(message_order)},
                      .limit = states_max};
    CO_TRY(RecordPage page, co_await records_.find(std::move(query)));
    if (page.items.empty()) co_return no_message(message);
    co_return std::move(page.items);
}

awaitable<result<ValuePtr>> Conversations::append_state(ValuePtr newest, std::string_view state,
                                                        Object content, std::string by) {
    const std::int64_t number = newest->integer_at("number") + 1;
    const std::string message(newest->text_at("messageId"));
    if (number > static_cast<std::int64_t>(states_max))
        co_return fail(ErrorCode::conflict,
                       fmt::format("a message has at most {} states", states_max));
    Object body = record_body(*newest);
    for (const Field& field : message_edit_fields)
        body.erase(field.name);
    for (auto& member : content)
        body.set(member.key, std::move(member.value));
    body.set("number", number);
    body.set("state", state);
    body.set("at", now());
    body.set("by", std::move(by));
    RecordWrite write =
        RecordWrite::insert(messages, fmt::format("{}.{}", message, number), std::move(body));
    auto record = std::make_shared<const Value>(stored_record(write));
    auto written = co_await records_.commit(std::move(write));
    if (!written && written.error().code() == ErrorCode::already_exists)
        co_return fail(ErrorCode::conflict, fmt::format("message {}: changed meanwhile", message));
    if (!written) co_return std::move(written).error();
    co_return record;
}

namespace {

result<void> check_change(const Value& newest, std::optional<std::int64_t> number,
                          const Caller& caller) {
    if (newest.text_at("author") != caller.subject &&
        !may_moderate(caller, newest.text_at("domainId")))
        return fail(ErrorCode::forbidden, "its author and admins may do this");
    if (number && *number != newest.integer_at("number"))
        return fail(ErrorCode::precondition_failed,
                    fmt::format("message {}", newest.text_at("messageId")));
    return {};
}

} // namespace

awaitable<result<ValuePtr>> Conversations::edit(std::string conversation, std::string message,
                                                std::optional<std::int64_t> number, Object body,
                                                Caller caller) {
    CO_TRY_VOID(check_content(body));
    CO_TRY(ValuePtr newest, co_await this->message(std::move(conversation), message));
    CO_TRY_VOID(check_change(*newest, number, caller));
    if (newest->text_at("state") == "deleted")
        co_return fail(ErrorCode::conflict, fmt::format("message {}: is deleted", message));
    if (asked_of(message_edit_fields, *newest->get_if<Object>()) == body) co_return newest;
    co_return co_await append_state(std::move(newest), "edited", std::move(body), caller.subject);
}

awaitable<result<ValuePtr>> Conversations::remove(std::string conversation, std::string message,
                                                  std::optional<std::int64_t> number,
                                                  Caller caller) {
    CO_TRY(ValuePtr newest, co_await this->message(std::move(conversation), std::move(message)));
    CO_TRY_VOID(check_change(*newest, number, caller));
    if (newest->text_at("state") == "deleted") co_return newest;
    co_return co_await append_state(std::move(newest), "deleted", {}, caller.subject);
}

awaitable<result<Conversations::Walked>> Conversations::walk(std::string conversation,
                                                             bool descending, std::int64_t beyond,
                                                             std::size_t limit) {
    Walked walked;
    std::size_t rows = limit + 1;
    while (true) {
        CO_TRY(const RecordPage page, co_await states(conversation, descending, beyond,
                                                      std::min(rows, RecordQuery::limit_max)));
        const bool full = !page.next.empty();
        std::vector<ValuePtr> newest;
        add_newest(newest, page.items, descending);
        // Upwards the last one's newer states may lie behind the page.
        const bool cut = full && !descending;
        if (cut) newest.pop_back();
        if (!newest.empty()) beyond = newest.back()->integer_at("sequence");
        walked.messages.insert(walked.messages.end(), newest.begin(), newest.end());
        walked.more = walked.messages.size() > limit || cut;
        if (!full || walked.messages.size() > limit) break;
        if (cut && walked.messages.size() == limit) break;
        // Edited ones took the place. A message has fewer states than a page can hold.
        rows = newest.empty() ? RecordQuery::limit_max : limit + 2 - walked.messages.size();
    }
    if (walked.messages.size() > limit) walked.messages.resize(limit);
    co_return walked;
}
static_assert(Conversations::states_max < RecordQuery::limit_max);

awaitable<result<RecordPage>> Conversations::page(PageQuery query) {
    CO_TRY(const Cursor cursor, read_cursor(query.cursor));
    const bool down = query.descending != cursor.backwards;
    const std::int64_t floor = query.after_sequence;
    std::int64_t beyond = cursor.beyond;
    if (!down) beyond = std::max(beyond, floor);
    CO_TRY(Walked walked, co_await walk(query.conversation, down, beyond, query.limit));
    if (down && floor > 0) {
        const auto behind =
            std::find_if(walked.messages.begin(), walked.messages.end(),
                         [&](const ValuePtr& one) { return one->integer_at("sequence") <= floor; });
        walked.more &= behind == walked.messages.end();
        walked.messages.erase(behind, walked.messages.end());
    }
    RecordPage page;
    page.items = std::move(walked.messages);
    if (cursor.backwards) std::reverse(page.items.begin(), page.items.end());
    if (page.items.empty()) co_return page;
    if (cursor.backwards || walked.more) page.next = cursor_of('n', *page.items.back());
    if (cursor.backwards ? walked.more : cursor.beyond > 0)
        page.previous = cursor_of('p', *page.items.front());
    co_return page;
}

awaitable<result<RecordPage>> Conversations::search(SearchQuery query) {
    RecordQuery records{.collection = &messages,
                        .descending = true,
                        .limit = query.limit,
                        .after = query.after,
                        .before = query.before,
                        .text = query.text};
    if (!query.scope.all)
        records.where.push_back(
            {"domainId", Op::in, Array(query.scope.domains.begin(), query.scope.domains.end())});
    if (!query.domain.empty()) records.where.push_back({"domainId", Op::equal, query.domain});
    if (!query.conversation.empty())
        records.where.push_back({"conversationId", Op::equal, query.conversation});
    CO_TRY(RecordPage page, co_await records_.find(std::move(records)));
    std::vector<std::string> successors; // states are numbered without a gap
    for (const ValuePtr& state : page.items)
        successors.push_back(
            fmt::format("{}.{}", state->text_at("messageId"), state->integer_at("number") + 1));
    if (successors.empty()) co_return page;
    CO_TRY(const auto later, co_await records_.get(messages, std::move(successors)));
    std::vector<ValuePtr> shown;
    for (std::size_t i = 0; i < page.items.size(); ++i) {
        if (!later[i]) shown.push_back(page.items[i]);
    }
    page.items = std::move(shown);
    co_return page;
}

Object shown_conversation(const Value& record) {
    Object shown{{"id", record_id(record)}, {"version", record_version(record)}};
    for (const Field& field : conversation_fields) {
        const Value* value = field.name == "asked" ? nullptr : record.at_path(field.name);
        if (value) shown.append(std::string(field.name), *value);
    }
    return shown;
}

Object shown_message(const Value& record) {
    Object shown{{"id", std::string(record.text_at("messageId"))}};
    for (const Field& field : message_fields) {
        const Value* value = field.name == "messageId" ? nullptr : record.at_path(field.name);
        if (value) shown.append(std::string(field.name), *value);
    }
    return shown;
}

} // namespace netbuild::data
