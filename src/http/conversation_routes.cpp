// SPDX-License-Identifier: Apache-2.0
#include "http/conversation_routes.hpp"

#include <charconv>

#include <fmt/format.h>

#include "data/conversation_records.hpp"

namespace netbuild::http {
namespace {

/// A whole number from `least` on; `otherwise` where the parameter is not there.
result<std::int64_t> number(const Call& call, std::string_view name, std::int64_t least,
                            std::int64_t most, std::int64_t otherwise) {
    const std::string_view text = call.parameter(name);
    if (text.empty()) return otherwise;
    std::int64_t value = 0;
    const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (ec != std::errc{} || end != text.data() + text.size() || value < least || value > most)
        return fail(ErrorCode::invalid_argument,
                    fmt::format("{}: must be {} to {}", name, least, most));
    return value;
}

/// Lists that are paged both ways have one parameter for it: the direction is part of the cursor.
result<void> read_cursor(const Call& call, std::string& after, std::string& before) {
    const std::string_view cursor = call.parameter("cursor");
    if (cursor.empty()) return {};
    if (cursor.starts_with("n.")) {
        after = cursor.substr(2);
    } else if (cursor.starts_with("p.")) {
        before = cursor.substr(2);
    }
    if (after.empty() && before.empty())
        return fail(ErrorCode::invalid_argument, "cursor: not one that this list gave out");
    return {};
}

Value cursor_or_null(std::string_view mark, const std::string& cursor) {
    return cursor.empty() ? Value() : Value(std::string(mark) + cursor);
}

/// `marks`: whether the direction has to be told.
Reply list_reply(const RecordPage& page, Object (*shown)(const Value&), bool marks) {
    Array items;
    for (const ValuePtr& record : page.items)
        items.emplace_back(shown(*record));
    return {.body = Object{{"items", std::move(items)},
                           {"nextCursor", cursor_or_null(marks ? "n." : "", page.next)},
                           {"previousCursor", cursor_or_null(marks ? "p." : "", page.previous)}}};
}

Reply versioned(int status, Object body, std::int64_t version) {
    return {.status = status,
            .body = std::move(body),
            .headers = {{"ETag", fmt::format("\"{}\"", version)}}};
}

Reply message_reply(int status, const Value& record) {
    return versioned(status, data::shown_message(record), record.at_path("number")->integer_or());
}

Reply context_reply(const Call& call, int status, const Value& record) {
    const std::string tag = fmt::format("\"{}\"", record_version(record));
    if (call.request.method == "GET" && call.request.header("if-none-match") == tag)
        return {.status = 304, .headers = {{"ETag", tag}}};
    return versioned(status, data::shown_context(record), record_version(record));
}

/// Where the same request was answered before, the answer is the same.
void repeat(Reply& reply, bool repeated) {
    if (repeated) reply.headers.emplace_back("Idempotent-Replayed", "true");
}

} // namespace

void ConversationRoutes::add_to(Routes& routes) {
    constexpr std::string_view conversation = "/v1/conversations/{conversationId}",
                               messages = "/v1/conversations/{conversationId}/messages",
                               one = "/v1/conversations/{conversationId}/messages/{messageId}",
                               context = "/v1/conversations/{conversationId}/ai-context",
                               shared =
                                   "/v1/domains/{domainId}/executions/{executionId}/ai-context";
    routes.add("POST", "/v1/conversations", [this](Call& call) { return create(call); });
    routes.add("GET", "/v1/conversations", [this](Call& call) { return list(call); });
    routes.add("GET", conversation, [this](Call& call) { return get(call); });
    routes.add("PUT", conversation, [this](Call& call) { return change(call); });
    routes.add("POST", messages, [this](Call& call) { return post(call); });
    routes.add("GET", messages, [this](Call& call) { return page(call); });
    routes.add("GET", one, [this](Call& call) { return message(call); });
    routes.add("PUT", one, [this](Call& call) { return edit(call); });
    routes.add("DELETE", one, [this](Call& call) { return remove(call); });
    routes.add("GET", "/v1/conversations/{conversationId}/messages/{messageId}/history",
               [this](Call& call) { return history(call); });
    routes.add("GET", "/v1/messages", [this](Call& call) { return search(call); });
    routes.add("GET", context, [this](Call& call) { return this->context(call); });
    routes.add("PUT", context, [this](Call& call) { return put_context(call); });
    routes.add("GET", shared, [this](Call& call) { return execution_context(call); });
    routes.add("PUT", shared, [this](Call& call) { return put_execution_context(call); });
}

awaitable<result<std::string>> ConversationRoutes::admit(Call& call) {
    const std::string& id = call.segment("conversationId");
    CO_TRY(std::string domain, co_await conversations_.domain_of(id));
    CO_TRY_VOID(call.admit(domain, "conversation " + id));
    co_return domain;
}

awaitable<result<Reply>> ConversationRoutes::create(Call& call) {
    CO_TRY_VOID(call.only({}));
    CO_TRY(Object body, call.body(data::conversation_fields));
    const std::string domain(body.find("domainId")->string_or());
    CO_TRY_VOID(call.admit(domain, "domain " + domain));
    CO_TRY(const auto made, co_await conversations_.create(std::move(body), call.caller));
    Reply reply =
        versioned(201, data::shown_conversation(*made.record), record_version(*made.record));
    reply.headers.emplace_back("Location", "/v1/conversations/" + record_id(*made.record));
    repeat(reply, made.repeated);
    co_return reply;
}

awaitable<result<Reply>> ConversationRoutes::list(Call& call) {
    CO_TRY_VOID(call.only({"domainId", "executionId", "taskId", "limit", "cursor"}));
    data::Conversations::ListQuery query{.scope = call.scope(),
                                         .domain = std::string(call.parameter("domainId")),
                                         .execution = std::string(call.parameter("executionId")),
                                         .task = std::string(call.parameter("taskId"))};
    CO_TRY(query.limit, call.limit());
    CO_TRY_VOID(read_cursor(call, query.after, query.before));
    CO_TRY(const RecordPage page, co_await conversations_.list(std::move(query)));
    co_return list_reply(page, data::shown_conversation, true);
}

awaitable<result<Reply>> ConversationRoutes::get(Call& call) {
    CO_TRY_VOID(co_await admit(call));
    CO_TRY_VOID(call.only({}));
    CO_TRY(const ValuePtr record,
           co_await conversations_.conversation(call.segment("conversationId")));
    co_return versioned(200, data::shown_conversation(*record), record_version(*record));
}

awaitable<result<Reply>> ConversationRoutes::change(Call& call) {
    CO_TRY_VOID(co_await admit(call));
    CO_TRY_VOID(call.only({}));
    CO_TRY(const auto version, call.if_match());
    CO_TRY(Object body, call.body(data::conversation_change_fields));
    if (!version)
        co_return fail(ErrorCode::precondition_failed, "a change needs If-Match with the ETag");
    CO_TRY(const ValuePtr record, co_await conversations_.change(call.segment("conversationId"),
                                                                 *version, std::move(body)));
    co_return versioned(200, data::shown_conversation(*record), record_version(*record));
}

awaitable<result<Reply>> ConversationRoutes::post(Call& call) {
    CO_TRY_VOID(co_await admit(call));
    CO_TRY_VOID(call.only({}));
    CO_TRY(Object body, call.body(data::message_fields));
    CO_TRY(const auto made, co_await conversations_.post(call.segment("conversationId"),
                                                         std::move(body), call.caller));
    Reply reply = message_reply(201, *made.record);
    repeat(reply, made.repeated);
    co_return reply;
}

awaitable<result<Reply>> ConversationRoutes::page(Call& call) {
    CO_TRY_VOID(co_await admit(call));
    CO_TRY_VOID(call.only({"limit", "cursor", "sort", "afterSequence"}));
    data::Conversations::PageQuery query{.conversation = call.segment("conversationId"),
                                         .cursor = std::string(call.parameter("cursor"))};
    CO_TRY(query.limit, call.limit());
    CO_TRY(query.after_sequence, number(call, "afterSequence", 0, INT64_MAX, 0));
    const std::string_view sort = call.parameter("sort");
    if (!sort.empty() && sort != "sequence" && sort != "-sequence")
        co_return fail(ErrorCode::invalid_argument, "sort: must be sequence or -sequence");
    query.descending = sort != "sequence";
    CO_TRY(const RecordPage page, co_await conversations_.page(std::move(query)));
    co_return list_reply(page, data::shown_message, false);
}

awaitable<result<Reply>> ConversationRoutes::message(Call& call) {
    CO_TRY_VOID(co_await admit(call));
    CO_TRY_VOID(call.only({}));
    CO_TRY(const ValuePtr record, co_await conversations_.message(call.segment("conversationId"),
                                                                  call.segment("messageId")));
    co_return message_reply(200, *record);
}

awaitable<result<Reply>> ConversationRoutes::edit(Call& call) {
    CO_TRY_VOID(co_await admit(call));
    CO_TRY_VOID(call.only({}));
    CO_TRY(const auto state, call.if_match());
    CO_TRY(Object body, call.body(data::message_edit_fields));
    CO_TRY(const ValuePtr record,
           co_await conversations_.edit(call.segment("conversationId"), call.segment("messageId"),
                                        state, std::move(body), call.caller));
    co_return message_reply(200, *record);
}

awaitable<result<Reply>> ConversationRoutes::remove(Call& call) {
    CO_TRY_VOID(co_await admit(call));
    CO_TRY_VOID(call.only({}));
    CO_TRY(const auto state, call.if_match());
    CO_TRY_VOID(co_await conversations_.remove(call.segment("conversationId"),
                                               call.segment("messageId"), state, call.caller));
    co_return Reply{.status = 204};
}

awaitable<result<Reply>> ConversationRoutes::history(Call& call) {
    CO_TRY_VOID(co_await admit(call));
    CO_TRY_VOID(call.only({}));
    RecordPage page;
    CO_TRY(page.items, co_await conversations_.history(call.segment("conversationId"),
                                                       call.segment("messageId")));
    co_return list_reply(page, data::shown_message, false);
}

awaitable<result<Reply>> ConversationRoutes::search(Call& call) {
    CO_TRY_VOID(call.only({"q", "domainId", "conversationId", "limit", "cursor"}));
    data::Conversations::SearchQuery query{.text = std::string(call.parameter("q")),
                                           .scope = call.scope(),
                                           .domain = std::string(call.parameter("domainId")),
                                           .conversation =
                                               std::string(call.parameter("conversationId"))};
    CO_TRY(query.limit, call.limit());
    CO_TRY_VOID(read_cursor(call, query.after, query.before));
    auto page = co_await conversations_.search(std::move(query));
    if (!page && page.error().detail().starts_with("text: ")) // the store's name of it
        co_return fail(page.error().code(), "q" + page.error().detail().substr(4));
    if (!page) co_return std::move(page).error();
    co_return list_reply(*page, data::shown_message, true);
}

awaitable<result<Reply>> ConversationRoutes::context(Call& call) {
    CO_TRY(std::string domain, co_await admit(call));
    CO_TRY_VOID(call.only({"maxTokens"}));
    const std::string& conversation = call.segment("conversationId");
    if (call.parameter("maxTokens").empty()) {
        CO_TRY(const ValuePtr record, co_await contexts_.get({std::move(domain), conversation}));
        co_return context_reply(call, 200, *record);
    }
    CO_TRY(const std::int64_t tokens,
           number(call, "maxTokens", 1, data::AiContexts::tokens_max, 0));
    CO_TRY(const auto window,
           co_await contexts_.window(conversation, static_cast<std::size_t>(tokens)));
    co_return Reply{.body = data::shown_window(window)};
}

awaitable<result<Reply>> ConversationRoutes::put_context(Call& call) {
    CO_TRY(std::string domain, co_await admit(call));
    CO_TRY_VOID(call.only({}));
    CO_TRY(const auto version, call.if_match());
    CO_TRY(Object body, call.body(data::ai_context_fields));
    CO_TRY(const ValuePtr record,
           co_await contexts_.put({std::move(domain), call.segment("conversationId")}, version,
                                  std::move(body), call.caller));
    co_return context_reply(call, version ? 200 : 201, *record);
}

awaitable<result<Reply>> ConversationRoutes::execution_context(Call& call) {
    const std::string& domain = call.segment("domainId");
    CO_TRY_VOID(call.admit(domain, "domain " + domain));
    CO_TRY_VOID(call.only({}));
    CO_TRY(const ValuePtr record,
           co_await contexts_.get({.domain = domain, .execution = call.segment("executionId")}));
    co_return context_reply(call, 200, *record);
}

awaitable<result<Reply>> ConversationRoutes::put_execution_context(Call& call) {
    const std::string& domain = call.segment("domainId");
    CO_TRY_VOID(call.admit(domain, "domain " + domain));
    CO_TRY_VOID(call.only({}));
    if (domain == every_domain)
        co_return fail(ErrorCode::invalid_argument, "domainId: * stands for all of them");
    CO_TRY(const auto version, call.if_match());
    CO_TRY(Object body, call.body(data::ai_context_fields));
    CO_TRY(const ValuePtr record,
           co_await contexts_.put({.domain = domain, .execution = call.segment("executionId")},
                                  version, std::move(body), call.caller));
    co_return context_reply(call, version ? 200 : 201, *record);
}

} // namespace netbuild::http
