// SPDX-License-Identifier: Apache-2.0
// Commits claims of user tasks at a fixed rate and notes when each is seen: as a message of a Redis
// channel, in the answer of GET /v1/executions/{id}, or (the floor) as bytes from pg_recvlogical on
// standard input. Time runs from the moment before COMMIT is sent, so the flush is in it.
#include <atomic>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <memory>
#include <optional>
#include <thread>

#include <arpa/inet.h>
#include <libpq-fe.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench.hpp"

namespace netbuild::bench {
namespace {

using Nanoseconds = std::int64_t;

Nanoseconds now_ns() {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(
               SteadyClock::now().time_since_epoch())
        .count();
}

/// When transaction k was committed and seen; 0: not yet.
struct Sighting {
    std::atomic<Nanoseconds> committed{0};
    std::atomic<Nanoseconds> acknowledged{0};
    std::atomic<Nanoseconds> published{0};
    std::atomic<Nanoseconds> visible{0};
};

struct Run {
    int id = 0;
    double rate = 0;
    std::size_t count = 0;
    std::size_t instances = 0;
    std::vector<Sighting> sightings;
    std::atomic<std::size_t> newest{0}; // the last that was committed
    std::atomic<bool> done{false};
    explicit Run(std::size_t transactions) : count(transactions), sightings(transactions) {}
};

using Connection = std::unique_ptr<PGconn, decltype(&PQfinish)>;

Connection connect(const std::string& conninfo) {
    Connection connection(PQconnectdb(conninfo.c_str()), &PQfinish);
    if (PQstatus(connection.get()) != CONNECTION_OK) die(PQerrorMessage(connection.get()));
    return connection;
}

void execute(PGconn* connection, const std::string& sql) {
    const std::unique_ptr<PGresult, decltype(&PQclear)> answer(PQexec(connection, sql.c_str()),
                                                               &PQclear);
    const auto status = PQresultStatus(answer.get());
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) die(PQerrorMessage(connection));
}

// The assignee carries the run and the transaction's number: "r3u17;". The semicolon ends the
// number, so that a search cannot take u17 for u1; the run keeps an earlier run's claims apart.
std::string assignee_of(const Run& run, std::size_t number) {
    return fmt::format("r{}u{};", run.id, number);
}

void write(Run& run, const std::string& conninfo, std::size_t writer, std::size_t writers,
           SteadyClock::time_point start) {
    const auto connection = connect(conninfo);
    execute(connection.get(), "prepare claim(int, text) as select nb_claim($1, $2)");
    for (std::size_t number = writer; number < run.count; number += writers) {
        std::this_thread::sleep_until(
            start + std::chrono::duration_cast<SteadyClock::duration>(
                        std::chrono::duration<double>(static_cast<double>(number) / run.rate)));
        execute(connection.get(), fmt::format("begin; execute claim({}, '{}')",
                                              number % run.instances, assignee_of(run, number)));
        run.sightings[number].committed = now_ns();
        execute(connection.get(), "commit");
        run.sightings[number].acknowledged = now_ns();
        run.newest = number;
    }
}

int connect_tcp(const std::string& host, int port) {
    const int descriptor = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    ::inet_pton(AF_INET, host.c_str(), &address.sin_addr);
    if (::connect(descriptor, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
        die(fmt::format("connect to port {}: {}", port, std::strerror(errno)));
    }
    const int on = 1;
    ::setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return descriptor;
}

void send_all(int descriptor, std::string_view text) {
    if (::send(descriptor, text.data(), text.size(), MSG_NOSIGNAL) !=
        static_cast<ssize_t>(text.size())) {
        die("send failed");
    }
}

/// Notes every "u<number>;" of the bytes in `text` and keeps what may be half of one.
void note_published(Run& run, std::string& text) {
    const Nanoseconds now = now_ns();
    std::size_t at = 0;
    for (;;) {
        const auto end = text.find(';', at);
        if (end == std::string::npos) break;
        std::size_t begin = end;
        while (begin > at && text[begin - 1] >= '0' && text[begin - 1] <= '9')
            --begin;
        std::size_t number = 0;
        if (begin > at && text[begin - 1] == 'u' &&
            std::from_chars(text.data() + begin, text.data() + end, number).ptr ==
                text.data() + end &&
            number < run.count) {
            Nanoseconds none = 0;
            run.sightings[number].published.compare_exchange_strong(none, now);
        }
        at = end + 1;
    }
    if (text.size() - at > 32) at = text.size() - 32;
    text.erase(0, at);
}

/// Reads a descriptor until the run is done.
void watch(Run& run, int descriptor) {
    std::string text;
    std::vector<char> piece(1 << 16);
    while (!run.done) {
        pollfd ready{descriptor, POLLIN, 0};
        if (::poll(&ready, 1, 50) <= 0) continue;
        const ssize_t size = ::read(descriptor, piece.data(), piece.size());
        if (size <= 0) die("the watched stream ended");
        text.append(piece.data(), static_cast<std::size_t>(size));
        note_published(run, text);
    }
}

std::string get(int descriptor, const std::string& path) {
    send_all(descriptor, "GET " + path + " HTTP/1.1\r\nHost: localhost\r\n\r\n");
    std::string answer;
    char piece[65536];
    for (;;) {
        const ssize_t size = ::recv(descriptor, piece, sizeof piece, 0);
        if (size <= 0) die("the server closed the connection");
        answer.append(piece, static_cast<std::size_t>(size));
        const auto head = answer.find("\r\n\r\n");
        if (head == std::string::npos) continue;
        auto length = answer.find("Content-Length: ");
        if (length == std::string::npos) length = answer.find("content-length: ");
        if (length == std::string::npos) die("an answer without a length");
        const auto bytes = std::strtoull(answer.c_str() + length + 16, nullptr, 10);
        if (answer.size() >= head + 4 + bytes) return answer.substr(head + 4);
    }
}

/// Takes the newest commit, asks until its document shows it, takes the next: a sample.
void sample_documents(Run& run, int port) {
    const int descriptor = connect_tcp("127.0.0.1", port);
    std::size_t last = 0;
    while (!run.done) {
        const std::size_t number = run.newest;
        if (number <= last) {
            std::this_thread::sleep_for(std::chrono::microseconds(200));
            continue;
        }
        last = number;
        const std::string path = fmt::format("/v1/executions/latency-{}", number % run.instances);
        const std::string wanted = fmt::format("\"r{}u", run.id);
        for (bool seen = false; !seen && !run.done;) {
            const std::string body = get(descriptor, path);
            // This one, or a later claim of the same task.
            const auto at = body.find(wanted);
            std::size_t found = 0;
            if (at != std::string::npos) {
                std::from_chars(body.data() + at + wanted.size(), body.data() + body.size(), found);
                seen = found >= number;
            }
            if (seen) {
                run.sightings[number].visible = now_ns();
            } else {
                std::this_thread::sleep_for(std::chrono::microseconds(200));
            }
        }
    }
    ::close(descriptor);
}

/// Of the transactions between two shares of the run.
std::vector<double> latencies_ms(const Run& run, std::atomic<Nanoseconds> Sighting::* seen,
                                 double from, double to) {
    std::vector<double> values;
    const auto at = [&](double share) {
        return static_cast<std::size_t>(share * static_cast<double>(run.count));
    };
    for (std::size_t number = at(from); number < at(to); ++number) {
        const Sighting& sighting = run.sightings[number];
        if (const Nanoseconds at = (sighting.*seen).load(); at != 0) {
            values.push_back(static_cast<double>(at - sighting.committed.load()) / 1e6);
        }
    }
    return values;
}

} // namespace

int run_latency(const Arguments& arguments) {
    const double rate = arguments.number("rate");
    const auto count = static_cast<std::size_t>(rate * arguments.number("seconds"));
    const auto writers = static_cast<std::size_t>(arguments.number("writers", 8));
    Run run(count);
    run.rate = rate;
    run.id = static_cast<int>(arguments.number("run", 0));
    run.instances = static_cast<std::size_t>(arguments.number("instances"));
    const std::string conninfo = arguments.text("conninfo");

    std::vector<std::thread> watchers;
    int redis = -1;
    if (const int port = static_cast<int>(arguments.number("redis-port", 0)); port != 0) {
        redis = connect_tcp(arguments.text("redis-host", "127.0.0.1"), port);
        send_all(redis, "SUBSCRIBE task:assigned\r\n");
        watchers.emplace_back([&] { watch(run, redis); });
    } else if (arguments.text("watch", "") == "stdin") {
        watchers.emplace_back([&] { watch(run, STDIN_FILENO); });
    }
    if (const int port = static_cast<int>(arguments.number("http-port", 0)); port != 0) {
        watchers.emplace_back([&run, port] { sample_documents(run, port); });
    }
    std::vector<std::thread> threads;
    const auto start = SteadyClock::now() + std::chrono::milliseconds(200);
    for (std::size_t writer = 0; writer < writers; ++writer) {
        threads.emplace_back([&, writer] { write(run, conninfo, writer, writers, start); });
    }
    for (auto& thread : threads)
        thread.join();
    const double elapsed = seconds_since(start);
    std::this_thread::sleep_for(std::chrono::milliseconds(500)); // the last ones arrive
    run.done = true;
    for (auto& watcher : watchers)
        watcher.join();
    if (redis >= 0) ::close(redis);

    // The first tenth warms up.
    auto published = latencies_ms(run, &Sighting::published, 0.1, 1);
    auto visible = latencies_ms(run, &Sighting::visible, 0.1, 1);
    auto acknowledged = latencies_ms(run, &Sighting::acknowledged, 0.1, 1);
    // Does a backlog grow?
    auto early = latencies_ms(run, &Sighting::published, 0.1, 0.4);
    auto late = latencies_ms(run, &Sighting::published, 0.7, 1);
    fmt::print("{{\"transactions\":{},\"rate\":{:.1f},\"published\":{},\"published_p50_ms\":{:.3f},"
               "\"published_p99_ms\":{:.3f},\"visible\":{},\"visible_p50_ms\":{:.3f},"
               "\"visible_p99_ms\":{:.3f},\"commit_p50_ms\":{:.3f},\"commit_p99_ms\":{:.3f},"
               "\"early_p50_ms\":{:.3f},\"late_p50_ms\":{:.3f}}}\n",
               count, static_cast<double>(count) / elapsed, published.size(),
               percentile(published, 0.50), percentile(published, 0.99), visible.size(),
               percentile(visible, 0.50), percentile(visible, 0.99), percentile(acknowledged, 0.50),
               percentile(acknowledged, 0.99), percentile(early, 0.50), percentile(late, 0.50));
    return 0;
}

} // namespace netbuild::bench
