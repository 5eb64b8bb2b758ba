// SPDX-License-Identifier: Apache-2.0
#include "data/record_events.hpp"

#include "data/conversation_records.hpp"
#include "data/domain_records.hpp"
#include "data/embedding_records.hpp"
#include "data/identity_records.hpp"
#include "data/payment_records.hpp"
#include "data/snapshot_records.hpp"

namespace netbuild::data {
namespace {

constexpr std::string_view conversation_told[] = {"executionId", "taskId"};
constexpr std::string_view message_told[] = {
    "messageId", "conversationId", "sequence", "number", "state", "role", "executionId", "taskId"};
constexpr std::string_view ai_context_told[] = {"conversationId", "executionId"};
constexpr std::string_view payment_told[] = {"status", "executionId", "processInstanceId", "taskId",
                                             "conversationId"};
constexpr std::string_view domain_told[] = {"status"};
constexpr std::string_view user_told[] = {"status"};
constexpr std::string_view snapshot_told[] = {"sequence", "taskId", "processInstanceId",
                                              "executionId"};
constexpr std::string_view embedding_index_told[] = {"status", "sequence"};

} // namespace

std::span<const RecordEvents> record_events() noexcept {
    static constexpr RecordEvents all[] = {
        {.collection = &conversations, .subject = "conversation", .fields = conversation_told},
        {.collection = &messages,
         .subject = "message",
         .fields = message_told,
         .state_number = "number"},
        {.collection = &ai_contexts, .subject = "aiContext", .fields = ai_context_told},
        {.collection = &payments, .subject = "payment", .fields = payment_told},
        {.collection = &domains, .subject = "domain", .fields = domain_told, .domain = "_id"},
        {.collection = &users, .subject = "user", .fields = user_told, .domain = ""},
        {.collection = &task_snapshots, .subject = "snapshot", .fields = snapshot_told},
        {.collection = &embedding_indexes,
         .subject = "embeddingIndex",
         .fields = embedding_index_told},
    };
    return all;
}

} // namespace netbuild::data
