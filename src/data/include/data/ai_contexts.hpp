// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <optional>

#include "data/context_window.hpp"
#include "data/conversations.hpp"
#include "ports/passage_retriever.hpp"

namespace netbuild::data {

/// What a model is told: system prompt, pinned facts and rolling summary of a conversation and of
/// the execution that it is about, and the window made of them. One executor.
class AiContexts {
public:
    /// `retriever` may be null: windows have no passages then.
    AiContexts(RecordStore& records, Conversations& conversations, Clock& clock,
               PassageRetriever* retriever)
        : records_(records), conversations_(conversations), clock_(clock), retriever_(retriever) {}

    /// Of a conversation, or of an execution in a domain.
    struct Key {
        std::string domain;
        std::string conversation = {};
        std::string execution = {};
        [[nodiscard]] std::string id() const;
    };
    /// not_found: nobody has said anything yet.
    awaitable<result<ValuePtr>> get(Key key);
    /// All of it, by ai_context_fields: the first (without a version) or in place of that version.
    /// precondition_failed.
    awaitable<result<ValuePtr>> put(Key key, std::optional<std::int64_t> version, Object body,
                                    Caller caller);

    static constexpr std::size_t tokens_max = 1'000'000, messages_max = 2000, passages_max = 32;
    static constexpr std::size_t passages_default = 8;
    /// Messages that are worth more than any passage.
    static constexpr std::size_t recent_messages = 4;

    struct Window {
        std::string conversation, domain, execution, model;
        std::size_t budget_tokens = 0;
        ContextWindow content{0};
        /// Of the contexts that it is made of; 0: there is none.
        std::int64_t conversation_version = 0, execution_version = 0;
        /// Why there are no passages, where they were wanted.
        std::optional<ErrorCode> passages_failed;
    };
    /// In the order of their worth: system prompt (the conversation's, else the execution's),
    /// pinned facts of the execution and of the conversation, their summaries, the newest few
    /// messages, passages, older messages back to those that are in the summary. The same data give
    /// the same window, byte by byte. Reads only as much of the log as fits. not_found.
    awaitable<result<Window>> window(std::string conversation, std::size_t tokens);

private:
    struct Bounds {
        std::size_t messages, passages;
        /// Up to it messages are in the summary.
        std::int64_t summarised;
    };
    awaitable<result<void>> add_messages(Window& window, Bounds bounds);
    awaitable<void> add_passages(Window& window, std::size_t limit, ValuePtr question);

    RecordStore& records_;
    Conversations& conversations_;
    Clock& clock_;
    PassageRetriever* retriever_;
};

[[nodiscard]] Object shown_context(const Value& record);
[[nodiscard]] Object shown_window(const AiContexts::Window& window);

} // namespace netbuild::data
