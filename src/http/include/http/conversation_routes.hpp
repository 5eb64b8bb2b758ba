// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "data/ai_contexts.hpp"
#include "data/conversations.hpp"
#include "http/routes.hpp"

namespace netbuild::http {

/// /v1/conversations, /v1/messages and the AI context of conversations and executions.
class ConversationRoutes {
public:
    ConversationRoutes(data::Conversations& conversations, data::AiContexts& contexts)
        : conversations_(conversations), contexts_(contexts) {}
    void add_to(Routes& routes);

private:
    awaitable<result<Reply>> create(Call& call);
    awaitable<result<Reply>> list(Call& call);
    awaitable<result<Reply>> get(Call& call);
    awaitable<result<Reply>> change(Call& call);
    awaitable<result<Reply>> post(Call& call);
    awaitable<result<Reply>> page(Call& call);
    awaitable<result<Reply>> message(Call& call);
    awaitable<result<Reply>> edit(Call& call);
    awaitable<result<Reply>> remove(Call& call);
    awaitable<result<Reply>> history(Call& call);
    awaitable<result<Reply>> search(Call& call);
    awaitable<result<Reply>> context(Call& call);
    awaitable<result<Reply>> put_context(Call& call);
    awaitable<result<Reply>> execution_context(Call& call);
    awaitable<result<Reply>> put_execution_context(Call& call);
    /// Is the conversation of the path one that the caller may know? Its domain.
    awaitable<result<std::string>> admit(Call& call);

    data::Conversations& conversations_;
    data::AiContexts& contexts_;
};

} // namespace netbuild::http
