// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <map>
#include <memory>
#include <optional>

#include "model/caller.hpp"
#include "ports/record_store.hpp"
#include "runtime/random.hpp"
#include "runtime/signal.hpp"

namespace netbuild::data {

/// Conversations and the log of what was said in them.
///
/// Messages of a conversation are numbered 1, 2, 3 … without a gap. A number is only taken when the
/// one before it is in the store, by whichever process; so the order never changes, and whoever has
/// read up to a number misses nothing by going on behind it. An edit or a deletion is a later state
/// of the message, a record of its own; what is shown is the newest.
///
/// Bodies are such as read_body() gives them. Who may see a domain is the caller's to check. One
/// executor.
class Conversations {
public:
    Conversations(RecordStore& records, Clock& clock, asio::any_io_executor executor);
    ~Conversations();

    struct Made {
        ValuePtr record;
        /// The same request was answered before: so it is again.
        bool repeated = false;
    };
    /// conflict: the clientConversationId stands for another body.
    awaitable<result<Made>> create(Object body, Caller caller);
    awaitable<result<ValuePtr>> conversation(std::string id);
    /// The domain of a conversation; it never changes, and is remembered. not_found.
    awaitable<result<std::string>> domain_of(std::string id);
    /// Replaces what a client may change. precondition_failed: it is not at that version.
    awaitable<result<ValuePtr>> change(std::string id, std::int64_t version, Object body);
    /// Newest first. Empty filters select all.
    struct ListQuery {
        Scope scope;
        std::string domain = {}, execution = {}, task = {};
        std::size_t limit = 50;
        std::string after = {}, before = {};
    };
    awaitable<result<RecordPage>> list(ListQuery query);

    /// conflict: the clientMessageId stands for another body. forbidden: an author who is not the
    /// caller, by somebody who is no service and no admin. outcome_unknown: only where there is no
    /// clientMessageId, the retry would double it.
    awaitable<result<Made>> post(std::string conversation, Object body, Caller caller);
    /// A new state. Its author and admins may. conflict: it is deleted, or was edited meanwhile;
    /// precondition_failed: it is not at that state. The same content again changes nothing.
    awaitable<result<ValuePtr>> edit(std::string conversation, std::string message,
                                     std::optional<std::int64_t> number, Object body,
                                     Caller caller);
    /// A last state without content. What was said stays in the log.
    awaitable<result<ValuePtr>> remove(std::string conversation, std::string message,
                                       std::optional<std::int64_t> number, Caller caller);
    /// The newest state. not_found.
    awaitable<result<ValuePtr>> message(std::string conversation, std::string message);
    /// All its states, as posted first.
    awaitable<result<std::vector<ValuePtr>>> history(std::string conversation, std::string message);

    struct PageQuery {
        std::string conversation;
        /// Of another page; either way.
        std::string cursor = {};
        /// Only what is behind it; 0: all.
        std::int64_t after_sequence = 0;
        bool descending = true;
        std::size_t limit = 50;
    };
    /// The newest states, in the query's order, whichever way it was paged.
    awaitable<result<RecordPage>> page(PageQuery query);

    struct Walked {
        std::vector<ValuePtr> messages;
        bool more = false;
    };
    /// The newest states of `limit` messages beyond a sequence number (0: from the end), each with
    /// one read of the log where nothing was edited.
    awaitable<result<Walked>> walk(std::string conversation, bool descending, std::int64_t beyond,
                                   std::size_t limit);

    struct SearchQuery {
        std::string text;
        Scope scope;
        std::string domain = {}, conversation = {};
        std::size_t limit = 50;
        std::string after = {}, before = {};
    };
    /// Messages whose newest state has all the words (without any: all messages), newest first. A
    /// page may have fewer than `limit` though there are more: older states are left out.
    /// unsupported: the store has none.
    awaitable<result<RecordPage>> search(SearchQuery query);

    static constexpr std::size_t states_max = 100;
    static constexpr std::size_t posts_waiting_max = 1000;

private:
    struct Turn;
    class Lease;
    awaitable<result<Lease>> turn(std::string conversation);
    awaitable<result<void>> read_head(std::string conversation, Turn& turn);
    awaitable<result<std::optional<Made>>> try_post(Turn& turn, Object body, Object asked);
    awaitable<result<Made>> posted_before(Object asked);
    awaitable<result<Made>> created_before(Object asked);
    awaitable<result<RecordPage>> states(std::string conversation, bool descending,
                                         std::int64_t beyond, std::size_t limit);
    awaitable<result<ValuePtr>> append_state(ValuePtr newest, std::string_view state,
                                             Object content, std::string by);
    [[nodiscard]] Date now() const { return Date{clock_.utc_us() / 1000}; }

    RecordStore& records_;
    Clock& clock_;
    asio::any_io_executor executor_;
    Random random_;
    /// What this process knows of conversations, forgotten when there are too many.
    std::map<std::string, std::string, std::less<>> domains_;
    std::map<std::string, std::shared_ptr<Turn>, std::less<>> turns_;
    static constexpr std::size_t known_max = 20'000;
};

/// As HTTP and events have it: `id` in front, `createdBy` …; without what only the store needs.
[[nodiscard]] Object shown_conversation(const Value& record);
[[nodiscard]] Object shown_message(const Value& record);

} // namespace netbuild::data
