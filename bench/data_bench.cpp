// SPDX-License-Identifier: Apache-2.0
// Messages inserted and paged through the service and the adapter for MongoDB, beside a bare
// libmongoc loop on the same server: the same documents, encoded beforehand, in a collection with
// the same indexes, with the same write concern and as many connections. And AI contexts' windows
// on SQLite.
#include <memory>
#include <thread>

#include <mongoc/mongoc.h>

#include "data/ai_contexts.hpp"
#include "data/conversation_records.hpp"
#include "data/schema.hpp"
#include "mongo/mongo_records.hpp"
#include "run.hpp"
#include "sqlite/sqlite_records.hpp"
#include "wire/bson.hpp"

namespace netbuild::bench {
namespace {

using Collection = std::unique_ptr<mongoc_collection_t, decltype(&mongoc_collection_destroy)>;
using Client = std::unique_ptr<mongoc_client_t, decltype(&mongoc_client_destroy)>;

const Caller writer{.subject = "bench", .roles = {{"*", Role::owner}}};

/// Some sentences' length: 40 to 400 characters.
std::string text_of(std::size_t number) {
    constexpr std::string_view words = "the customer asks when order will be delivered and whether "
                                       "an invoice was sent to accounting in Ulm already, please ";
    std::string text = std::to_string(number) + " ";
    for (const std::size_t size = 40 + number * 7919 % 361; text.size() < size;)
        text += words.substr(0, size - text.size());
    return text;
}

Object message_of(std::size_t number) {
    return {{"role", number % 2 ? "user" : "assistant"},
            {"text", text_of(number)},
            {"clientMessageId", "c" + std::to_string(number)}};
}

struct Service {
    explicit Service(RecordStore& records) : talk(records, clock, context.get_executor()) {
        run(context, data::apply_schema(records, {}));
    }
    std::string begin() {
        return record_id(*run(context, talk.create({{"domainId", "bench"}}, writer)).record);
    }
    asio::io_context context;
    SystemClock clock;
    data::Conversations talk;
};

awaitable<void> insert_some(data::Conversations& talk, std::string conversation, std::size_t count,
                            std::vector<double>& latencies_ms, std::size_t& left) {
    for (std::size_t i = 0; i < count; ++i) {
        const auto begun = SteadyClock::now();
        const auto made = co_await talk.post(conversation, message_of(i), writer);
        if (!made) die(made.error().message());
        latencies_ms.push_back(1e3 * seconds_since(begun));
    }
    --left;
}

awaitable<void> page_some(data::Conversations& talk, std::string conversation, std::size_t count,
                          std::size_t limit, std::vector<double>& latencies_ms, std::size_t& left) {
    std::string cursor;
    for (std::size_t i = 0; i < count; ++i) {
        const auto begun = SteadyClock::now();
        const auto page =
            co_await talk.page({.conversation = conversation, .cursor = cursor, .limit = limit});
        if (!page) die(page.error().message());
        latencies_ms.push_back(1e3 * seconds_since(begun));
        cursor = page->next;
    }
    --left;
}

struct Timed {
    double rate = 0;
    std::vector<double> latencies_ms;
};

/// `make` starts the coroutine of one connection.
template <class Make>
Timed timed(asio::io_context& context, std::size_t parallel, std::size_t each, Make make) {
    Timed timed;
    std::size_t left = parallel;
    const auto start = SteadyClock::now();
    for (std::size_t i = 0; i < parallel; ++i)
        asio::co_spawn(context, make(i, timed.latencies_ms, left),
                       [](const std::exception_ptr& escaped) {
                           if (escaped) std::rethrow_exception(escaped);
                       });
    context.restart();
    while (left > 0)
        context.run_one();
    timed.rate = static_cast<double>(parallel * each) / seconds_since(start);
    return timed;
}

/// The bare loop: a thread and a connection a conversation.
class Bare {
public:
    Bare(std::string uri, std::string database)
        : uri_(std::move(uri) + "/?w=majority&journal=true"), database_(std::move(database)) {}

    template <class Work>
    Timed timed(std::size_t parallel, std::size_t each, Work work) const {
        std::vector<std::vector<double>> latencies(parallel);
        std::vector<std::thread> threads;
        const auto start = SteadyClock::now();
        for (std::size_t i = 0; i < parallel; ++i)
            threads.emplace_back([&, i] {
                const Client client(mongoc_client_new(uri_.c_str()), &mongoc_client_destroy);
                const Collection collection(
                    mongoc_client_get_collection(client.get(), database_.c_str(), "messages"),
                    &mongoc_collection_destroy);
                work(i, collection.get(), latencies[i]);
            });
        for (auto& thread : threads)
            thread.join();
        Timed timed{.rate = static_cast<double>(parallel * each) / seconds_since(start)};
        for (const auto& part : latencies)
            timed.latencies_ms.insert(timed.latencies_ms.end(), part.begin(), part.end());
        return timed;
    }

private:
    std::string uri_, database_;
};

std::string encoded(const Object& object) { return encode_bson(object); }

bson_t view_of(const std::string& bytes) {
    bson_t view;
    bson_init_static(&view, reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
    return view;
}

/// What the service wrote, read back: the bare loop writes the very same into its own collection.
std::vector<std::vector<std::string>> written(Service& service,
                                              const std::vector<std::string>& conversations) {
    std::vector<std::vector<std::string>> all;
    for (const std::string& conversation : conversations) {
        auto& mine = all.emplace_back();
        std::string cursor;
        do {
            auto page = run(service.context, service.talk.page({.conversation = conversation,
                                                                .cursor = cursor,
                                                                .descending = false,
                                                                .limit = 500}));
            for (const ValuePtr& message : page.items)
                mine.push_back(encoded(*message->get_if<Object>()));
            cursor = page.next;
        } while (!cursor.empty());
    }
    return all;
}

Timed bare_insert(const Bare& bare, const std::vector<std::vector<std::string>>& documents) {
    return bare.timed(
        documents.size(), documents.front().size(),
        [&](std::size_t i, mongoc_collection_t* collection, auto& latencies) {
            for (const std::string& bytes : documents[i]) {
                const auto begun = SteadyClock::now();
                const bson_t document = view_of(bytes);
                bson_error_t error;
                if (!mongoc_collection_insert_one(collection, &document, nullptr, nullptr, &error))
                    die(error.message);
                latencies.push_back(1e3 * seconds_since(begun));
            }
        });
}

/// Newest first, page by page, each behind the last one's number; from the start after the end.
void page_bare(mongoc_collection_t* collection, const std::string& conversation, std::size_t pages,
               std::size_t limit, std::vector<double>& latencies) {
    const std::string options =
        encoded({{"sort", Object{{"conversationId", -1}, {"sequence", -1}, {"number", -1}}},
                 {"limit", static_cast<std::int64_t>(limit)}});
    const bson_t find_options = view_of(options);
    std::int64_t beyond = INT64_MAX;
    for (std::size_t page = 0; page < pages; ++page) {
        const auto begun = SteadyClock::now();
        const std::string filter =
            encoded({{"conversationId", conversation}, {"sequence", Object{{"$lt", beyond}}}});
        const bson_t selector = view_of(filter);
        mongoc_cursor_t* cursor =
            mongoc_collection_find_with_opts(collection, &selector, &find_options, nullptr);
        const bson_t* document = nullptr;
        std::size_t count = 0;
        while (mongoc_cursor_next(cursor, &document)) {
            bson_iter_t iterator;
            if (bson_iter_init_find(&iterator, document, "sequence"))
                beyond = bson_iter_as_int64(&iterator);
            ++count;
        }
        mongoc_cursor_destroy(cursor);
        if (count < limit) beyond = INT64_MAX;
        latencies.push_back(1e3 * seconds_since(begun));
    }
}

void print_pair(const char* name, Timed& ours, Timed& bare, const char* end) {
    fmt::print("\"{0}\":{{\"rate\":{1:.1f},\"p50_ms\":{2:.3f},\"p99_ms\":{3:.3f}}},"
               "\"bare_{0}\":{{\"rate\":{4:.1f},\"p50_ms\":{5:.3f},\"p99_ms\":{6:.3f}}}{7}",
               name, ours.rate, percentile(ours.latencies_ms, 0.5),
               percentile(ours.latencies_ms, 0.99), bare.rate, percentile(bare.latencies_ms, 0.5),
               percentile(bare.latencies_ms, 0.99), end);
}

} // namespace

int run_messages(const Arguments& arguments) {
    const auto parallel = static_cast<std::size_t>(arguments.number("parallel", 4));
    const auto each = static_cast<std::size_t>(arguments.number("messages"));
    const auto pages = static_cast<std::size_t>(arguments.number("pages"));
    constexpr std::size_t limit = 50;
    const std::string uri = arguments.text("uri");
    SystemClock clock;
    MongoRecords records({.uri = uri + "/" + arguments.text("database"), .threads = parallel},
                         clock);
    MongoRecords bare_records({.uri = uri + "/" + arguments.text("bare-database")}, clock);
    Service service(records), bare_schema(bare_records);
    std::vector<std::string> conversations;
    for (std::size_t i = 0; i < parallel; ++i)
        conversations.push_back(service.begin());
    const Bare bare(uri, arguments.text("bare-database"));
    Timed inserted = timed(
        service.context, parallel, each, [&](std::size_t i, auto& latencies, std::size_t& left) {
            return insert_some(service.talk, conversations[i], each, latencies, left);
        });
    Timed bare_inserted = bare_insert(bare, written(service, conversations));
    Timed paged = timed(
        service.context, parallel, pages, [&](std::size_t i, auto& latencies, std::size_t& left) {
            return page_some(service.talk, conversations[i], pages, limit, latencies, left);
        });
    Timed bare_paged =
        bare.timed(parallel, pages, [&](std::size_t i, auto* collection, auto& latencies) {
            page_bare(collection, conversations[i], pages, limit, latencies);
        });
    fmt::print("{{");
    print_pair("insert", inserted, bare_inserted, ",");
    print_pair("page", paged, bare_paged, "}\n");
    return 0;
}

int run_ai_context(const Arguments& arguments) {
    const auto messages = static_cast<std::size_t>(arguments.number("messages", 10'000));
    const auto rounds = static_cast<std::size_t>(arguments.number("rounds"));
    const auto tokens = static_cast<std::size_t>(arguments.number("tokens", 8000));
    SqliteRecords records({.path = arguments.text("folder") + "/records.sqlite"});
    Service service(records);
    data::AiContexts contexts(records, service.talk, service.clock, nullptr);
    const std::string conversation = service.begin();
    // Not by the service, which would wait for the disk 10,000 times.
    std::vector<RecordWrite> writes;
    for (std::size_t i = 1; i <= messages; ++i) {
        Object body = message_of(i);
        const std::string id = fmt::format("bench-{:08}", i);
        for (const auto& [field, value] :
             {std::pair<const char*, Value>{"conversationId", conversation},
              {"domainId", "bench"},
              {"messageId", id},
              {"sequence", static_cast<std::int64_t>(i)},
              {"number", std::int64_t{1}},
              {"state", "posted"},
              {"author", "bench"},
              {"by", "bench"},
              {"createdAt", Date{1}},
              {"at", Date{1}}})
            body.set(field, value);
        writes.push_back(RecordWrite::insert(data::messages, id, std::move(body)));
        if (writes.size() < RecordStore::writes_max && i < messages) continue;
        run(service.context, records.commit(std::move(writes)));
        writes.clear();
    }
    run(service.context, contexts.put({"bench", conversation}, std::nullopt,
                                      {{"systemPrompt", "You answer questions about orders."},
                                       {"pinned", Array{Object{{"text", "VAT is 19 %"}}}}},
                                      writer));
    std::vector<double> latencies;
    std::size_t parts = 0;
    for (std::size_t i = 0; i < rounds; ++i) {
        const auto begun = SteadyClock::now();
        const auto window = run(service.context, contexts.window(conversation, tokens));
        parts = shown_window(window).find("parts")->get_if<Array>()->size();
        latencies.push_back(1e3 * seconds_since(begun));
    }
    fmt::print(
        "{{\"messages\":{},\"tokens\":{},\"parts\":{},\"p50_ms\":{:.3f},\"p99_ms\":{:.3f}}}\n",
        messages, tokens, parts, percentile(latencies, 0.5), percentile(latencies, 0.99));
    return 0;
}

} // namespace netbuild::bench
