// SPDX-License-Identifier: Apache-2.0
#include "data/ai_contexts.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "data/conversation_records.hpp"
#include "data/token_estimate.hpp"

namespace netbuild::data {
namespace {

/// Messages of a first look, and the fewest of a later one.
constexpr std::size_t first_step = 32, least_step = 8;

result<void> check_range(const Object& body, std::string_view path, std::size_t max) {
    const Value whole(body);
    const Value* value = whole.at_path(path);
    if (!value ||
        (value->integer_or() >= 0 && value->integer_or() <= static_cast<std::int64_t>(max)))
        return {};
    return fail(ErrorCode::invalid_argument, fmt::format("{}: must be 0 to {}", path, max));
}

/// Where a part is from: "conversation" or "execution", with the version.
Object context_source(const Value& context, std::string_view field) {
    const bool conversation = context.at_path("conversationId") != nullptr;
    return {{"context", conversation ? "conversation" : "execution"},
            {"version", record_version(context)},
            {"field", field}};
}

/// The first of the two that says something.
const Value* first_of(const ValuePtr& conversation, const ValuePtr& execution,
                      std::string_view path, ValuePtr* whose = nullptr) {
    for (const ValuePtr& context : {conversation, execution}) {
        const Value* value = context ? context->at_path(path) : nullptr;
        if (!value) continue;
        if (whose) *whose = context;
        return value;
    }
    return nullptr;
}

std::size_t limit_of(const ValuePtr& conversation, const ValuePtr& execution, std::string_view name,
                     std::size_t otherwise, std::size_t max) {
    const Value* value = first_of(conversation, execution, fmt::format("limits.{}", name));
    return std::min(value ? static_cast<std::size_t>(value->integer_or()) : otherwise, max);
}

void add_fixed(ContextWindow& window, const ValuePtr& conversation, const ValuePtr& execution) {
    ValuePtr whose;
    if (const Value* prompt = first_of(conversation, execution, "systemPrompt", &whose))
        window.offer({.kind = ContextPart::Kind::system,
                      .text = std::string(prompt->string_or()),
                      .source = context_source(*whose, "systemPrompt")});
    for (const ValuePtr& context : {execution, conversation}) {
        const Value* pinned = context ? context->at_path("pinned") : nullptr;
        const auto* facts = pinned ? pinned->get_if<Array>() : nullptr;
        for (std::size_t i = 0; facts && i < facts->size(); ++i) {
            Object source = context_source(*context, fmt::format("pinned[{}]", i));
            if (const Value* from = (*facts)[i].at_path("source")) source.set("source", *from);
            window.offer({.kind = ContextPart::Kind::pinned,
                          .text = std::string((*facts)[i].text_at("text")),
                          .source = std::move(source)});
        }
    }
    for (const ValuePtr& context : {execution, conversation}) {
        if (!context || !context->at_path("summary")) continue;
        Object source = context_source(*context, "summary");
        source.set("uptoSequence", context->integer_at("summary.uptoSequence"));
        window.offer({.kind = ContextPart::Kind::summary,
                      .text = std::string(context->text_at("summary.text")),
                      .source = std::move(source)});
    }
}

bool is_said(const Value& message) { return message.text_at("state") != "deleted"; }

ContextPart message_part(const Value& message) {
    ContextPart part{.kind = ContextPart::Kind::message,
                     .role = std::string(message.text_at("role")),
                     .text = std::string(message.text_at("text"))};
    const Value* attachments = message.at_path("attachments");
    if (const auto* list = attachments ? attachments->get_if<Array>() : nullptr) {
        for (const Value& one : *list)
            part.text += fmt::format("{}[attachment: {}, {}]", part.text.empty() ? "" : "\n",
                                     one.text_at("name"), one.text_at("mediaType"));
    }
    part.source = {{"messageId", message.text_at("messageId")},
                   {"sequence", message.integer_at("sequence")},
                   {"number", message.integer_at("number")},
                   {"author", message.text_at("author")}};
    return part;
}

/// What passages are looked for: the newest thing that a user said, or null.
ValuePtr question_of(const std::vector<ValuePtr>& newest_first) {
    for (const ValuePtr& message : newest_first) {
        if (is_said(*message) && message->text_at("role") == "user" &&
            !message->text_at("text").empty())
            return message;
    }
    return nullptr;
}

} // namespace

std::string AiContexts::Key::id() const {
    if (!conversation.empty()) return "conversation:" + conversation;
    return fmt::format("execution:{}:{}:{}", domain.size(), domain, execution);
}

awaitable<result<ValuePtr>> AiContexts::get(Key key) {
    auto found = co_await records_.one(ai_contexts, key.id());
    if (!found && found.error().code() == ErrorCode::not_found)
        co_return fail(ErrorCode::not_found, "AI context");
    co_return found;
}

awaitable<result<ValuePtr>> AiContexts::put(Key key, std::optional<std::int64_t> version,
                                            Object body, Caller caller) {
    CO_TRY_VOID(check_range(body, "limits.maxTokens", tokens_max));
    CO_TRY_VOID(check_range(body, "limits.maxMessages", messages_max));
    CO_TRY_VOID(check_range(body, "limits.maxPassages", passages_max));
    CO_TRY_VOID(check_range(body, "summary.uptoSequence", INT64_MAX));
    body.set("domainId", key.domain);
    if (!key.conversation.empty()) body.set("conversationId", key.conversation);
    if (!key.execution.empty()) body.set("executionId", key.execution);
    body.set("updatedAt", Date{clock_.utc_us() / 1000});
    body.set("updatedBy", caller.subject);
    RecordWrite write = version ? RecordWrite::replace(ai_contexts, key.id(), *version, body)
                                : RecordWrite::insert(ai_contexts, key.id(), body);
    const auto record = std::make_shared<const Value>(stored_record(write));
    auto written = co_await records_.commit(std::move(write));
    if (written) co_return record;
    if (written.error().error_class() == ErrorClass::conflict ||
        (version && written.error().code() == ErrorCode::not_found))
        co_return fail(ErrorCode::precondition_failed, "AI context");
    co_return std::move(written).error();
}

awaitable<void> AiContexts::add_passages(Window& window, std::size_t limit, ValuePtr question) {
    if (!retriever_ || limit == 0 || !question || !window.content.open()) co_return;
    auto found =
        co_await retriever_->retrieve({.domain = window.domain,
                                       .conversation = window.conversation,
                                       .execution = window.execution,
                                       .text = std::string(question->text_at("text")),
                                       .message = std::string(question->text_at("messageId")),
                                       .limit = limit});
    if (!found) {
        window.passages_failed = found.error().code();
        co_return;
    }
    if (found->size() > limit) found->resize(limit);
    for (Passage& passage : *found)
        window.content.offer({.kind = ContextPart::Kind::passage,
                              .text = std::move(passage.text),
                              .source = {{"document", std::move(passage.document)},
                                         {"chunk", std::move(passage.chunk)},
                                         {"from", static_cast<std::int64_t>(passage.from)},
                                         {"to", static_cast<std::int64_t>(passage.to)},
                                         {"score", passage.score}}});
}

/// Newest first, as many as fit, and no more read than that takes.
awaitable<result<void>> AiContexts::add_messages(Window& window, Bounds bounds) {
    const std::size_t recent = std::min(recent_messages, bounds.messages);
    std::int64_t beyond = 0;
    std::size_t count = 0, step = first_step;
    ValuePtr question;
    bool passages_offered = false, more = true;
    while (more && window.content.open()) {
        CO_TRY(const auto walked,
               co_await conversations_.walk(window.conversation, true, beyond, step));
        if (beyond == 0) question = question_of(walked.messages);
        more = walked.more;
        for (const ValuePtr& message : walked.messages) {
            beyond = message->integer_at("sequence");
            more &= beyond > bounds.summarised;
            if (beyond <= bounds.summarised) break;
            if (!is_said(*message)) continue;
            if (count == recent && !std::exchange(passages_offered, true))
                co_await add_passages(window, bounds.passages, question);
            if (count == bounds.messages)
                window.content.stop({{"kind", "message"}, {"reason", "maxMessages"}});
            if (!window.content.offer(message_part(*message))) break;
            ++count;
        }
        // As many as should fit, by the size of those so far.
        const std::size_t each = std::max<std::size_t>(1, window.content.tokens() / (count + 1));
        step = std::clamp(window.content.left() / each + 1, least_step, RecordQuery::limit_max - 1);
    }
    if (!passages_offered) co_await add_passages(window, bounds.passages, std::move(question));
    co_return result<void>{};
}

awaitable<result<AiContexts::Window>> AiContexts::window(std::string conversation,
                                                         std::size_t tokens) {
    CO_TRY(const ValuePtr about, co_await conversations_.conversation(conversation));
    Window window;
    window.conversation = conversation;
    window.domain = about->text_at("domainId");
    window.execution = about->text_at("executionId");
    std::vector<std::string> ids{Key{window.domain, conversation}.id()};
    if (!window.execution.empty()) ids.push_back(Key{window.domain, "", window.execution}.id());
    CO_TRY(auto contexts, co_await records_.get(ai_contexts, std::move(ids)));
    contexts.resize(2);
    const ValuePtr& own = contexts[0];
    const ValuePtr& shared = contexts[1];
    window.conversation_version = own ? record_version(*own) : 0;
    window.execution_version = shared ? record_version(*shared) : 0;
    if (const Value* model = first_of(own, shared, "model")) window.model = model->string_or();
    window.budget_tokens =
        std::min(tokens, limit_of(own, shared, "maxTokens", tokens_max, tokens_max));
    window.content = ContextWindow(window.budget_tokens);
    add_fixed(window.content, own, shared);
    const Bounds bounds{
        .messages = limit_of(own, shared, "maxMessages", messages_max, messages_max),
        .passages = limit_of(own, shared, "maxPassages", passages_default, passages_max),
        .summarised = own ? own->integer_at("summary.uptoSequence") : 0};
    CO_TRY_VOID(co_await add_messages(window, bounds));
    co_return window;
}

Object shown_context(const Value& record) {
    Object shown{{"version", record_version(record)}};
    for (const Field& field : ai_context_fields) {
        if (const Value* value = record.at_path(field.name))
            shown.append(std::string(field.name), *value);
    }
    return shown;
}

Object shown_window(const AiContexts::Window& window) {
    Array parts;
    for (ContextPart& part : window.content.parts()) {
        Object shown{{"kind", kind_name(part.kind)}};
        if (!part.role.empty()) shown.append("role", std::move(part.role));
        shown.append("text", std::move(part.text));
        shown.append("tokens", static_cast<std::int64_t>(part.tokens));
        shown.append("source", std::move(part.source));
        parts.emplace_back(std::move(shown));
    }
    Object shown{{"conversationId", window.conversation}, {"domainId", window.domain}};
    if (!window.execution.empty()) shown.append("executionId", window.execution);
    if (!window.model.empty()) shown.append("model", window.model);
    shown.append("estimator", token_estimator);
    shown.append("maxTokens", static_cast<std::int64_t>(window.budget_tokens));
    shown.append("tokens", static_cast<std::int64_t>(window.content.tokens()));
    shown.append("parts", std::move(parts));
    shown.append("contextVersions", Object{{"conversation", window.conversation_version},
                                           {"execution", window.execution_version}});
    shown.append("complete", !window.content.stopped().has_value());
    if (window.content.stopped()) shown.append("stoppedAt", *window.content.stopped());
    if (window.passages_failed) shown.append("passagesFailed", code_name(*window.passages_failed));
    return shown;
}

} // namespace netbuild::data
