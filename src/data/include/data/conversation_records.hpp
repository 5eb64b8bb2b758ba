// SPDX-License-Identifier: Apache-2.0
#pragma once
// What was said, and what a model is told of it: the collections of conversations.hpp and
// ai_contexts.hpp.
#include "ports/collection.hpp"

namespace netbuild::data {

inline constexpr Field conversation_fields[] = {
    {.name = "domainId", .required = true, .size_max = 200},
    {.name = "title", .size_max = 500},
    {.name = "executionId", .size_max = 255, .help = "the business key of what it is about"},
    {.name = "taskId", .size_max = 64},
    {.name = "metadata", .type = FieldType::json},
    {.name = "clientConversationId", .size_max = 200, .help = "against doubles, in a domain"},
    {.name = "asked", .type = FieldType::json, .server = true, .help = "the body, of such a one"},
    {.name = "createdAt", .type = FieldType::date, .required = true, .server = true},
    {.name = "createdBy", .required = true, .server = true},
    {.name = "updatedAt", .type = FieldType::date, .required = true, .server = true},
};
inline constexpr RecordIndex conversation_indexes[] = {
    {.fields = {"createdAt"}, .reason = "the list of conversations"},
    {.fields = {"domainId", "createdAt"}, .reason = "a domain's conversations"},
    {.fields = {"executionId", "createdAt"}, .reason = "the conversations about an execution"},
    {.fields = {"taskId", "createdAt"}, .reason = "the conversations about a task"},
    {.fields = {"domainId", "clientConversationId"}, .unique = true, .reason = "none twice"},
};
/// Never erased, and `domainId` never changes.
inline constexpr Collection conversations{.name = "conversations",
                                          .holds = "a conversation, about an execution or a task",
                                          .fields = conversation_fields,
                                          .indexes = conversation_indexes,
                                          .bytes_max = 64 * 1024,
                                          .shared = true};
/// What a client may change of it.
inline constexpr Field conversation_change_fields[] = {
    conversation_fields[1], conversation_fields[2], conversation_fields[3], conversation_fields[4]};

inline constexpr Field attachment_fields[] = {
    {.name = "name", .required = true, .size_max = 255},
    {.name = "mediaType", .required = true, .size_max = 127},
    {.name = "sizeBytes", .type = FieldType::integer, .required = true},
    {.name = "url", .size_max = 2048, .help = "where the bytes are: not here"},
    {.name = "sha256", .size_max = 64, .help = "of the bytes, in hex"},
};
inline constexpr Field message_fields[] = {
    {.name = "conversationId", .required = true, .server = true},
    {.name = "domainId", .required = true, .server = true},
    {.name = "messageId", .required = true, .server = true, .help = "_id of the first state"},
    {.name = "sequence",
     .type = FieldType::integer,
     .required = true,
     .server = true,
     .help = "1, 2, 3 … in the conversation, without a gap"},
    {.name = "number",
     .type = FieldType::integer,
     .required = true,
     .server = true,
     .help = "of the state: 1 as posted"},
    {.name = "state", .required = true, .server = true, .choices = "posted|edited|deleted"},
    {.name = "role", .required = true, .choices = "user|assistant|system|tool"},
    {.name = "author",
     .personal = true,
     .size_max = 200,
     .help = "the caller, unless a service speaks for somebody"},
    {.name = "text", .size_max = 32 * 1024},
    {.name = "attachments",
     .type = FieldType::list,
     .size_max = 32,
     .fields = attachment_fields,
     .element = FieldType::object},
    {.name = "executionId", .size_max = 255},
    {.name = "taskId", .size_max = 64},
    {.name = "metadata", .type = FieldType::json, .personal = true},
    {.name = "clientMessageId",
     .personal = true,
     .size_max = 200,
     .help = "against doubles, in a conversation"},
    {.name = "createdAt", .type = FieldType::date, .required = true, .server = true},
    {.name = "at", .type = FieldType::date, .required = true, .server = true, .help = "the state"},
    {.name = "by",
     .required = true,
     .server = true,
     .personal = true,
     .help = "whose doing the state is"},
};
inline constexpr RecordIndex message_indexes[] = {
    {.fields = {"conversationId", "sequence", "number"},
     .unique = true,
     .reason = "one order; the states of a message lie side by side"},
    {.fields = {"conversationId", "clientMessageId", "number"},
     .unique = true,
     .reason = "none twice"},
    {.fields = {"domainId"}, .reason = "search by domain"},
};
/// A log: every state of every message is a record, the newest is what is shown. What it says of a
/// person is pseudonymised with the person's erasure (privacy.hpp).
inline constexpr Collection messages{.name = "messages",
                                     .holds = "a state of a message: as posted, edited or deleted",
                                     .fields = message_fields,
                                     .indexes = message_indexes,
                                     .append_only = true,
                                     .bytes_max = 256 * 1024,
                                     .shared = true,
                                     .searched = "text"};
/// What an edit may say: all of it, what is left out is gone.
inline constexpr Field message_edit_fields[] = {
    {.name = "text", .size_max = 32 * 1024},
    {.name = "attachments",
     .type = FieldType::list,
     .size_max = 32,
     .fields = attachment_fields,
     .element = FieldType::object},
    {.name = "metadata", .type = FieldType::json},
};

inline constexpr Field pinned_fields[] = {
    {.name = "text", .required = true, .size_max = 4096},
    {.name = "source", .size_max = 500, .help = "where the fact is from"},
};
inline constexpr Field summary_fields[] = {
    {.name = "text", .required = true, .size_max = 16 * 1024},
    {.name = "uptoSequence",
     .type = FieldType::integer,
     .required = true,
     .help = "the last message that is in it"},
};
inline constexpr Field context_limit_fields[] = {
    {.name = "maxTokens", .type = FieldType::integer, .help = "of a window, whatever is asked"},
    {.name = "maxMessages", .type = FieldType::integer},
    {.name = "maxPassages", .type = FieldType::integer},
};
inline constexpr Field ai_context_fields[] = {
    {.name = "domainId", .required = true, .server = true},
    {.name = "conversationId", .server = true},
    {.name = "executionId", .server = true},
    {.name = "systemPrompt", .size_max = 32 * 1024},
    {.name = "pinned",
     .type = FieldType::list,
     .size_max = 64,
     .fields = pinned_fields,
     .element = FieldType::object},
    {.name = "summary", .type = FieldType::object, .fields = summary_fields},
    {.name = "model", .size_max = 200},
    {.name = "limits", .type = FieldType::object, .fields = context_limit_fields},
    {.name = "updatedAt", .type = FieldType::date, .required = true, .server = true},
    {.name = "updatedBy", .required = true, .server = true},
};
inline constexpr RecordIndex ai_context_indexes[] = {
    {.fields = {"domainId"}, .reason = "a domain's contexts: export and erasure"},
};
/// One a conversation and one an execution, by a key of either (ai_contexts.hpp). The record's
/// version is the ETag.
inline constexpr Collection ai_contexts{.name = "ai_contexts",
                                        .holds = "what a model is told besides the messages",
                                        .fields = ai_context_fields,
                                        .indexes = ai_context_indexes,
                                        .shared = true};

} // namespace netbuild::data
