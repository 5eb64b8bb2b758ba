// SPDX-License-Identifier: Apache-2.0
// The bare libmongoc loops that bound what any reader or writer of the same server can reach.
#include <memory>
#include <thread>

#include <mongoc/mongoc.h>

#include "bench.hpp"

namespace netbuild::bench {
namespace {

struct Library {
    Library() { mongoc_init(); }
    ~Library() { mongoc_cleanup(); }
};

using Client = std::unique_ptr<mongoc_client_t, decltype(&mongoc_client_destroy)>;
using Collection = std::unique_ptr<mongoc_collection_t, decltype(&mongoc_collection_destroy)>;
using Cursor = std::unique_ptr<mongoc_cursor_t, decltype(&mongoc_cursor_destroy)>;
using Bson = std::unique_ptr<bson_t, decltype(&bson_destroy)>;

Client connect(const std::string& uri) {
    Client client(mongoc_client_new(uri.c_str()), &mongoc_client_destroy);
    if (!client) die("bad MongoDB URI");
    return client;
}

Collection open(mongoc_client_t* client, const Arguments& arguments) {
    return {mongoc_client_get_collection(client, arguments.text("database").c_str(),
                                         arguments.text("collection").c_str()),
            &mongoc_collection_destroy};
}

/// The ids of up to 10,000 documents, each as the filter that finds it.
std::vector<Bson> filters(const Arguments& arguments) {
    const auto client = connect(arguments.text("uri"));
    const auto collection = open(client.get(), arguments);
    const Bson all(bson_new(), &bson_destroy);
    const Bson options(
        BCON_NEW("limit", BCON_INT64(10'000), "projection", "{", "_id", BCON_INT32(1), "}"),
        &bson_destroy);
    const Cursor cursor(
        mongoc_collection_find_with_opts(collection.get(), all.get(), options.get(), nullptr),
        &mongoc_cursor_destroy);
    std::vector<Bson> found;
    const bson_t* document = nullptr;
    while (mongoc_cursor_next(cursor.get(), &document)) {
        found.emplace_back(bson_copy(document), &bson_destroy);
    }
    if (found.empty()) die("the collection is empty");
    return found;
}

void find(const Arguments& arguments, const std::vector<Bson>& filters, std::size_t first,
          std::vector<double>& latencies_ms) {
    const auto client = connect(arguments.text("uri"));
    const auto collection = open(client.get(), arguments);
    const auto start = SteadyClock::now();
    const double seconds = arguments.number("seconds");
    for (std::size_t at = first; seconds_since(start) < seconds; ++at) {
        const auto begun = SteadyClock::now();
        const Cursor cursor(mongoc_collection_find_with_opts(collection.get(),
                                                             filters[at % filters.size()].get(),
                                                             nullptr, nullptr),
                            &mongoc_cursor_destroy);
        const bson_t* document = nullptr;
        if (!mongoc_cursor_next(cursor.get(), &document)) die("a document is gone");
        latencies_ms.push_back(1e3 * seconds_since(begun));
    }
}

} // namespace

int run_find_loop(const Arguments& arguments) {
    const Library library;
    const auto wanted = filters(arguments);
    const auto threads = static_cast<std::size_t>(arguments.number("threads", 8));
    std::vector<std::vector<double>> latencies(threads);
    std::vector<std::thread> running;
    const auto start = SteadyClock::now();
    for (std::size_t thread = 0; thread < threads; ++thread) {
        running.emplace_back(
            [&, thread] { find(arguments, wanted, 997 * thread, latencies[thread]); });
    }
    for (auto& thread : running)
        thread.join();
    const double elapsed = seconds_since(start);
    std::vector<double> all;
    for (const auto& part : latencies)
        all.insert(all.end(), part.begin(), part.end());
    fmt::print("{{\"finds\":{},\"rate\":{:.1f},\"p50_ms\":{:.3f},\"p99_ms\":{:.3f}}}\n", all.size(),
               static_cast<double>(all.size()) / elapsed, percentile(all, 0.5),
               percentile(all, 0.99));
    return 0;
}

/// Every document of the collections, received and let go of.
int run_scan(const Arguments& arguments) {
    const Library library;
    const auto client = connect(arguments.text("uri"));
    const Bson all(bson_new(), &bson_destroy);
    std::istringstream names(arguments.text("collections"));
    const auto start = SteadyClock::now();
    std::uint64_t documents = 0, bytes = 0;
    for (std::string name; std::getline(names, name, ',');) {
        const Collection collection(mongoc_client_get_collection(client.get(),
                                                                 arguments.text("database").c_str(),
                                                                 name.c_str()),
                                    &mongoc_collection_destroy);
        const Cursor cursor(
            mongoc_collection_find_with_opts(collection.get(), all.get(), nullptr, nullptr),
            &mongoc_cursor_destroy);
        const bson_t* document = nullptr;
        for (; mongoc_cursor_next(cursor.get(), &document); ++documents)
            bytes += document->len;
        bson_error_t error;
        if (mongoc_cursor_error(cursor.get(), &error)) die(error.message);
    }
    fmt::print("{{\"scan_s\":{},\"documents\":{},\"bytes\":{}}}\n", seconds_since(start), documents,
               bytes);
    return 0;
}

/// Replaces documents of `bytes` one by one, majority and journaled, at `rate` a second or (0) as
/// fast as they go.
int run_upsert_loop(const Arguments& arguments) {
    const Library library;
    const auto client = connect(arguments.text("uri"));
    const std::unique_ptr<mongoc_write_concern_t, decltype(&mongoc_write_concern_destroy)> concern(
        mongoc_write_concern_new(), &mongoc_write_concern_destroy);
    mongoc_write_concern_set_w(concern.get(), MONGOC_WRITE_CONCERN_W_MAJORITY);
    mongoc_write_concern_set_journal(concern.get(), true);
    mongoc_client_set_write_concern(client.get(), concern.get());
    const auto collection = open(client.get(), arguments);
    const Bson upsert(BCON_NEW("upsert", BCON_BOOL(true)), &bson_destroy);
    const double rate = arguments.number("rate", 0);
    const double seconds = arguments.number("seconds");
    const int documents = static_cast<int>(arguments.number("documents"));
    const std::string filling(static_cast<std::size_t>(arguments.number("bytes")), 'x');
    std::vector<double> latencies_ms;
    const auto start = SteadyClock::now();
    for (int number = 0; seconds_since(start) < seconds; ++number) {
        auto due = SteadyClock::now();
        if (rate > 0) {
            due = start + std::chrono::duration_cast<SteadyClock::duration>(
                              std::chrono::duration<double>(number / rate));
            std::this_thread::sleep_until(due);
        }
        const Bson selector(BCON_NEW("_id", BCON_INT32(number % documents)), &bson_destroy);
        const Bson body(BCON_NEW("_id", BCON_INT32(number % documents), "number",
                                 BCON_INT32(number), "filling", BCON_UTF8(filling.c_str())),
                        &bson_destroy);
        bson_error_t error;
        if (!mongoc_collection_replace_one(collection.get(), selector.get(), body.get(),
                                           upsert.get(), nullptr, &error))
            die(error.message);
        latencies_ms.push_back(1e3 * seconds_since(due));
    }
    const double elapsed = seconds_since(start);
    fmt::print("{{\"upserts\":{},\"rate\":{:.1f},\"p50_ms\":{:.3f},\"p99_ms\":{:.3f}}}\n",
               latencies_ms.size(), static_cast<double>(latencies_ms.size()) / elapsed,
               percentile(latencies_ms, 0.5), percentile(latencies_ms, 0.99));
    return 0;
}

int run_drop_database(const Arguments& arguments) {
    const Library library;
    const auto client = connect(arguments.text("uri"));
    const std::unique_ptr<mongoc_database_t, decltype(&mongoc_database_destroy)> database(
        mongoc_client_get_database(client.get(), arguments.text("database").c_str()),
        &mongoc_database_destroy);
    bson_error_t error;
    if (!mongoc_database_drop(database.get(), &error)) die(error.message);
    fmt::print("{{\"dropped\":true}}\n");
    return 0;
}

} // namespace netbuild::bench
