// SPDX-License-Identifier: Apache-2.0
// A closed-loop HTTP/1.1 load client: N keep-alive connections, one request in flight on each, GETs
// drawn in turn from a file of paths. Prints one JSON object. One thread, epoll, no dependencies:
// it must cost far less than any server that it measures.
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace {

using Clock = std::chrono::steady_clock;

struct Options {
    std::string host = "127.0.0.1";
    int port = 8080;
    std::string paths_file;
    int connections = 16;
    double seconds = 5;
    double warmup_seconds = 1;
};

[[noreturn]] void die(const std::string& text) {
    std::fprintf(stderr, "http_load: %s\n", text.c_str());
    std::exit(1);
}

/// Where a whole response ends in `data`, or 0 if it is not there yet.
std::size_t response_end(std::string_view data) {
    const auto head = data.find("\r\n\r\n");
    if (head == std::string_view::npos) return 0;
    std::string lower(data.substr(0, head + 2));
    std::transform(lower.begin(), lower.end(), lower.begin(), ::tolower);
    const std::size_t body = head + 4;
    if (const auto length = lower.find("\r\ncontent-length:"); length != std::string::npos) {
        const auto size = std::strtoull(lower.c_str() + length + 17, nullptr, 10);
        return data.size() - body >= size ? body + size : 0;
    }
    if (lower.find("\r\ntransfer-encoding: chunked") == std::string::npos) {
        die("a response without a length");
    }
    for (std::size_t at = body;;) {
        const auto line = data.find("\r\n", at);
        if (line == std::string_view::npos) return 0;
        const auto size =
            std::strtoull(std::string(data.substr(at, line - at)).c_str(), nullptr, 16);
        at = line + 2 + size + 2;
        if (at > data.size()) return 0;
        if (size == 0) return at;
    }
}

struct Connection {
    int descriptor = -1;
    std::string received;
    Clock::time_point sent;
};

class Load {
public:
    Load(Options options, std::vector<std::string> requests)
        : options_(std::move(options)),
          requests_(std::move(requests)),
          connections_(options_.connections),
          poll_(::epoll_create1(0)) {}

    void run() {
        for (std::size_t index = 0; index < connections_.size(); ++index)
            connect(index);
        const auto start = Clock::now();
        measure_from_ = start + std::chrono::duration_cast<Clock::duration>(
                                    std::chrono::duration<double>(options_.warmup_seconds));
        const auto until = measure_from_ + std::chrono::duration_cast<Clock::duration>(
                                               std::chrono::duration<double>(options_.seconds));
        for (std::size_t index = 0; index < connections_.size(); ++index)
            send(index);
        while (Clock::now() < until) {
            epoll_event events[64];
            const int count = ::epoll_wait(poll_, events, 64, 100);
            for (int at = 0; at < count; ++at)
                receive(events[at].data.u64);
            if (count == 0 && Clock::now() - last_answer_ > std::chrono::seconds(10)) {
                die("no answer for 10 s");
            }
        }
        elapsed_ = std::chrono::duration<double>(Clock::now() - measure_from_).count();
    }

    void print() {
        std::sort(latencies_ms_.begin(), latencies_ms_.end());
        const auto at = [&](double share) {
            if (latencies_ms_.empty()) return 0.0;
            return latencies_ms_[std::min(latencies_ms_.size() - 1,
                                          static_cast<std::size_t>(share * latencies_ms_.size()))];
        };
        std::printf("{\"requests\":%zu,\"errors\":%zu,\"seconds\":%.3f,\"rate\":%.1f,"
                    "\"p50_ms\":%.3f,\"p90_ms\":%.3f,\"p99_ms\":%.3f,\"bytes\":%zu}\n",
                    latencies_ms_.size(), errors_, elapsed_, latencies_ms_.size() / elapsed_,
                    at(0.50), at(0.90), at(0.99), bytes_);
    }

private:
    void connect(std::size_t index) {
        const int descriptor = ::socket(AF_INET, SOCK_STREAM, 0);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(static_cast<std::uint16_t>(options_.port));
        ::inet_pton(AF_INET, options_.host.c_str(), &address.sin_addr);
        if (::connect(descriptor, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
            die(std::string("connect: ") + std::strerror(errno));
        }
        const int on = 1;
        ::setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        connections_[index].descriptor = descriptor;
        epoll_event event{};
        event.events = EPOLLIN;
        event.data.u64 = index;
        ::epoll_ctl(poll_, EPOLL_CTL_ADD, descriptor, &event);
    }

    void send(std::size_t index) {
        Connection& connection = connections_[index];
        const std::string& request = requests_[next_++ % requests_.size()];
        connection.received.clear();
        connection.sent = Clock::now();
        if (::send(connection.descriptor, request.data(), request.size(), MSG_NOSIGNAL) !=
            static_cast<ssize_t>(request.size())) {
            die(std::string("send: ") + std::strerror(errno));
        }
    }

    void receive(std::size_t index) {
        Connection& connection = connections_[index];
        char piece[65536];
        const ssize_t size = ::recv(connection.descriptor, piece, sizeof piece, 0);
        if (size <= 0) die("the server closed a connection");
        connection.received.append(piece, static_cast<std::size_t>(size));
        const std::size_t end = response_end(connection.received);
        if (end == 0) return;
        if (end != connection.received.size()) die("bytes after a response");
        const auto now = Clock::now();
        last_answer_ = now;
        if (connection.sent >= measure_from_) {
            if (connection.received.compare(9, 3, "200") == 0) {
                latencies_ms_.push_back(
                    std::chrono::duration<double, std::milli>(now - connection.sent).count());
                bytes_ += end;
            } else {
                ++errors_;
            }
        }
        send(index);
    }

    Options options_;
    std::vector<std::string> requests_;
    std::vector<Connection> connections_;
    int poll_;
    std::size_t next_ = 0;
    Clock::time_point measure_from_;
    Clock::time_point last_answer_ = Clock::now();
    std::vector<double> latencies_ms_;
    std::size_t errors_ = 0;
    std::size_t bytes_ = 0;
    double elapsed_ = 0;
};

} // namespace

int main(int count, char** arguments) {
    Options options;
    for (int at = 1; at + 1 < count; at += 2) {
        const std::string_view name = arguments[at];
        const char* value = arguments[at + 1];
        if (name == "--host") {
            options.host = value;
        } else if (name == "--port") {
            options.port = std::atoi(value);
        } else if (name == "--paths") {
            options.paths_file = value;
        } else if (name == "--connections") {
            options.connections = std::atoi(value);
        } else if (name == "--seconds") {
            options.seconds = std::atof(value);
        } else if (name == "--warmup") {
            options.warmup_seconds = std::atof(value);
        } else {
            die("usage: http_load --port P --paths FILE [--connections 16] [--seconds 5] "
                "[--warmup 1] [--host 127.0.0.1]");
        }
    }
    std::ifstream file(options.paths_file);
    std::vector<std::string> requests;
    for (std::string path; std::getline(file, path);) {
        requests.push_back("GET " + path + " HTTP/1.1\r\nHost: " + options.host + ":" +
                           std::to_string(options.port) + "\r\nAccept: application/json\r\n\r\n");
    }
    if (requests.empty()) die("no paths in '" + options.paths_file + "'");
    Load load(std::move(options), std::move(requests));
    load.run();
    load.print();
}
