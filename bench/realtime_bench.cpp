// SPDX-License-Identifier: Apache-2.0
// The load on a Socket.IO server over WebSocket: clients that join, publish, echo or only stay, and
// what it costs the server, whose process is named by --pid. Prints one JSON object. One thread,
// one epoll, one buffer for all reads, frames read where they lie: it must cost far less than any
// server that it measures, and says how busy it was. Times in payloads are CLOCK_MONOTONIC's.
#include "bench.hpp"

#include <array>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <fstream>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

namespace netbuild::bench {
namespace {

constexpr std::size_t read_buffer_bytes = 256 * 1024;
constexpr std::size_t data_bytes = 64; // of a published event
constexpr std::size_t connects_at_once = 50;
constexpr std::size_t connections_an_address = 20'000;
constexpr double answer_seconds_max = 30;
constexpr double trailing_seconds = 0.2;
constexpr std::string_view room = "bench";

using Nanoseconds = std::int64_t;

Nanoseconds clock_now(clockid_t clock) {
    timespec time{};
    ::clock_gettime(clock, &time);
    return time.tv_sec * 1'000'000'000LL + time.tv_nsec;
}
Nanoseconds now() { return clock_now(CLOCK_MONOTONIC); }
Nanoseconds nanoseconds(double seconds) { return static_cast<Nanoseconds>(seconds * 1e9); }

/// What the scheduler made the threads of a process wait for a core.
Nanoseconds waited_for_core(int process) {
    Nanoseconds sum = 0;
    std::error_code ec;
    const auto tasks = fmt::format("/proc/{}/task", process);
    for (const auto& task : std::filesystem::directory_iterator(tasks, ec)) {
        std::ifstream file(task.path() / "schedstat");
        Nanoseconds ran = 0, waited = 0;
        if (file >> ran >> waited) sum += waited;
    }
    return sum;
}

/// The process under load.
class ServerProcess {
public:
    explicit ServerProcess(int process) : process_(process) {
        if (::clock_getcpuclockid(process, &clock_) != 0) die("--pid: no such process");
    }
    [[nodiscard]] Nanoseconds cpu() const { return clock_now(clock_); }
    [[nodiscard]] Nanoseconds waited() const { return waited_for_core(process_); }
    [[nodiscard]] double resident_kb() const {
        std::ifstream file(fmt::format("/proc/{}/statm", process_));
        std::size_t size = 0, resident = 0;
        file >> size >> resident;
        return static_cast<double>(resident * static_cast<std::size_t>(::getpagesize())) / 1024;
    }

private:
    int process_;
    clockid_t clock_{};
};

/// How much of a time the client worked, and how much it waited for a core.
class Busy {
public:
    void begin() {
        if (running_) return;
        running_ = true;
        wall_from_ = now();
        cpu_from_ = clock_now(CLOCK_PROCESS_CPUTIME_ID);
        waited_from_ = waited();
    }
    void end() {
        if (!running_) return;
        running_ = false;
        wall_ += now() - wall_from_;
        cpu_ += clock_now(CLOCK_PROCESS_CPUTIME_ID) - cpu_from_;
        waited_ += waited() - waited_from_;
    }
    void clear() { *this = {}; }
    [[nodiscard]] std::string json() const {
        const double wall = static_cast<double>(std::max<Nanoseconds>(wall_, 1));
        return fmt::format(R"("client_cpu":{:.3f},"client_waited":{:.3f})",
                           static_cast<double>(cpu_) / wall, static_cast<double>(waited_) / wall);
    }

private:
    /// Of this thread, which is the only one; cheap enough for each event.
    [[nodiscard]] static Nanoseconds waited() {
        static const int file = ::open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC);
        std::array<char, 64> text{};
        if (::pread(file, text.data(), text.size() - 1, 0) <= 0) return 0;
        char* rest = nullptr;
        std::strtoll(text.data(), &rest, 10);
        return std::strtoll(rest, nullptr, 10);
    }

    bool running_ = false;
    Nanoseconds wall_from_ = 0, cpu_from_ = 0, waited_from_ = 0, wall_ = 0, cpu_ = 0, waited_ = 0;
};

struct Stamp {
    Nanoseconds at = 0;
    std::uint32_t number = 0;
};

std::string stamped(Stamp stamp) {
    return fmt::format("{:016x}{:08x}{:.>{}}", stamp.at, stamp.number, "", data_bytes - 24);
}

Stamp stamp_of(std::string_view data) {
    Stamp stamp;
    if (data.size() < 24) return stamp;
    std::from_chars(data.data(), data.data() + 16, stamp.at, 16);
    std::from_chars(data.data() + 16, data.data() + 24, stamp.number, 16);
    return stamp;
}

/// Who is told what the clients get.
class Sink {
public:
    virtual ~Sink() = default;
    virtual void on_event(Stamp, Nanoseconds /*at*/) {}
    virtual void on_ack(std::size_t /*client*/) {}
};

class Clients {
public:
    Clients() : poll_(::epoll_create1(0)), buffer_(read_buffer_bytes) {
        rlimit limit{};
        ::getrlimit(RLIMIT_NOFILE, &limit);
        limit.rlim_cur = limit.rlim_max;
        ::setrlimit(RLIMIT_NOFILE, &limit);
        std::signal(SIGPIPE, SIG_IGN);
        ::prctl(PR_SET_TIMERSLACK, 1); // ns: events leave when they are due
    }

    [[nodiscard]] std::size_t count() const { return clients_.size(); }
    void set_sink(Sink* sink) { sink_ = sink; }

    /// Returns once all are connected to the namespace `/`.
    void connect(std::size_t count, int port) {
        const std::size_t until = clients_.size() + count;
        clients_.reserve(until);
        while (connected_ < until) {
            while (clients_.size() < until && clients_.size() - connected_ < connects_at_once)
                open(port);
            wait_a_little("connects");
        }
    }

    /// Returns once all of [from, until) are in the room.
    void join(std::size_t from, std::size_t until) {
        const std::string text = fmt::format(R"(420["join","{}"])", room);
        const std::size_t before = acks_;
        for (std::size_t at = from; acks_ - before < until - from;) {
            while (at < until && at - from - (acks_ - before) < connects_at_once)
                send(at++, text);
            wait_a_little("join");
        }
    }

    void publish(std::size_t client, Stamp stamp) {
        send(client, fmt::format(R"(42["pub","{}","{}"])", room, stamped(stamp)));
    }

    void send(std::size_t client, std::string_view text) { send_frame(client, 0x81, text); }

    /// Reads what is there, or waits for it until `until`.
    std::size_t pump(Nanoseconds until) {
        const Nanoseconds rest = std::max<Nanoseconds>(until - now(), 0);
        const timespec timeout{rest / 1'000'000'000, rest % 1'000'000'000};
        std::array<epoll_event, 64> events;
        const int count = ::epoll_pwait2(poll_, events.data(), events.size(), &timeout, nullptr);
        for (int at = 0; at < count; ++at)
            receive(events[static_cast<std::size_t>(at)].data.u64);
        return static_cast<std::size_t>(std::max(count, 0));
    }
    void pump_for(double seconds) {
        for (const Nanoseconds until = now() + nanoseconds(seconds); now() < until;)
            pump(until);
    }

private:
    struct Client {
        int descriptor = -1;
        bool upgraded = false;
        std::string partial; // of a frame
    };

    void wait_a_little(const char* what) {
        if (pump(now() + nanoseconds(answer_seconds_max)) == 0)
            die(fmt::format("{}: no answer for {} s", what, answer_seconds_max));
    }

    void open(int port) {
        const int descriptor = ::socket(AF_INET, SOCK_STREAM, 0);
        if (descriptor < 0) die(std::string("socket: ") + std::strerror(errno));
        const int on = 1;
        ::setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        ::setsockopt(descriptor, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
        // An address of this process alone: no port of it is kept by an earlier one's connection.
        const auto number = static_cast<std::uint32_t>(::getpid()) % 250 + 1;
        sockaddr_in source{};
        source.sin_family = AF_INET;
        source.sin_addr.s_addr =
            htonl(0x7f000001U + (number << 8) +
                  static_cast<std::uint32_t>(clients_.size() / connections_an_address));
        sockaddr_in target{};
        target.sin_family = AF_INET;
        target.sin_port = htons(static_cast<std::uint16_t>(port));
        target.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        if (::bind(descriptor, reinterpret_cast<sockaddr*>(&source), sizeof source) != 0 ||
            ::connect(descriptor, reinterpret_cast<sockaddr*>(&target), sizeof target) != 0)
            die(std::string("connect: ") + std::strerror(errno));
        ::fcntl(descriptor, F_SETFL, O_NONBLOCK);
        epoll_event event{};
        event.events = EPOLLIN;
        event.data.u64 = clients_.size();
        ::epoll_ctl(poll_, EPOLL_CTL_ADD, descriptor, &event);
        clients_.push_back({descriptor, false, {}});
        write(descriptor, fmt::format("GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\n"
                                      "Host: 127.0.0.1:{}\r\nConnection: Upgrade\r\n"
                                      "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                                      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
                                      port));
    }

    static void write(int descriptor, std::string_view bytes) {
        if (::send(descriptor, bytes.data(), bytes.size(), MSG_NOSIGNAL) !=
            static_cast<ssize_t>(bytes.size()))
            die(std::string("send: ") + std::strerror(errno));
    }

    void send_frame(std::size_t client, unsigned char first, std::string_view text) {
        constexpr std::array<char, 4> mask = {0x1b, 0x2c, 0x3d, 0x4e};
        std::array<char, 1024> frame;
        if (text.size() > frame.size() - 8) die("a message that is too long");
        std::size_t at = 0;
        frame[at++] = static_cast<char>(first);
        if (text.size() < 126) {
            frame[at++] = static_cast<char>(0x80U | text.size());
        } else {
            frame[at++] = static_cast<char>(0xfe);
            frame[at++] = static_cast<char>(text.size() >> 8);
            frame[at++] = static_cast<char>(text.size() & 0xffU);
        }
        for (const char each : mask)
            frame[at++] = each;
        for (std::size_t i = 0; i < text.size(); ++i)
            frame[at++] = static_cast<char>(text[i] ^ mask[i % 4]);
        write(clients_[client].descriptor, {frame.data(), at});
    }

    void receive(std::size_t index) {
        Client& client = clients_[index];
        const std::size_t held = client.partial.size();
        std::memcpy(buffer_.data(), client.partial.data(), held);
        const ssize_t size =
            ::recv(client.descriptor, buffer_.data() + held, buffer_.size() - held, 0);
        if (size < 0 && errno == EAGAIN) return;
        if (size <= 0) die(fmt::format("client {} lost its connection", index));
        read_at_ = now();
        std::string_view bytes(buffer_.data(), held + static_cast<std::size_t>(size));
        if (!client.upgraded) {
            const auto end = bytes.find("\r\n\r\n");
            if (end != bytes.npos) {
                if (!bytes.starts_with("HTTP/1.1 101")) die("refused: " + std::string(bytes));
                client.upgraded = true;
                bytes.remove_prefix(end + 4);
            }
        }
        if (client.upgraded) {
            while (read_frame(index, bytes)) {
            }
        }
        clients_[index].partial.assign(bytes);
    }

    bool read_frame(std::size_t index, std::string_view& bytes) {
        if (bytes.size() < 2) return false;
        const auto at = [&bytes](std::size_t i) { return static_cast<unsigned char>(bytes[i]); };
        std::size_t size = at(1), head = 2;
        if (size == 126) {
            if (bytes.size() < 4) return false;
            size = static_cast<std::size_t>(at(2)) << 8 | at(3);
            head = 4;
        } else if (size > 126) {
            die("a frame that is too long");
        }
        if (bytes.size() < head + size) return false;
        const unsigned opcode = at(0) & 0x0fU;
        const std::string_view text = bytes.substr(head, size);
        bytes.remove_prefix(head + size);
        if (opcode == 1) {
            on_text(index, text);
        } else if (opcode == 9) {
            send_frame(index, 0x8a, text);
        } else if (opcode == 8) {
            die("the server closed a connection");
        }
        return true;
    }

    void on_text(std::size_t index, std::string_view text) {
        constexpr std::string_view event = R"(42["m",")";
        if (text.starts_with(event)) {
            sink_->on_event(stamp_of(text.substr(event.size())), read_at_);
        } else if (text.starts_with("43")) {
            ++acks_;
            sink_->on_ack(index);
        } else if (text == "2") {
            send(index, "3");
        } else if (text.starts_with("0{")) {
            send(index, "40");
        } else if (text.starts_with("40")) {
            ++connected_;
        } else if (text.starts_with("44")) {
            die("connect error: " + std::string(text));
        }
    }

    int poll_;
    std::vector<char> buffer_;
    std::vector<Client> clients_;
    std::size_t connected_ = 0, acks_ = 0;
    Nanoseconds read_at_ = 0;
    Sink none_;
    Sink* sink_ = &none_;
};

/// Deliveries of numbered events to a room of `members`.
class Deliveries final : public Sink {
public:
    Deliveries(std::size_t members, std::size_t events_max)
        : missing_(events_max, static_cast<std::uint32_t>(members)) {
        latencies_ms_.reserve(std::min<std::size_t>(members * events_max, 20'000'000));
    }

    void on_event(Stamp stamp, Nanoseconds at) override {
        if (stamp.number >= missing_.size() || missing_[stamp.number] == 0)
            die("an event that was not published");
        ++deliveries;
        if (stamp.number >= counted_from)
            latencies_ms_.push_back(static_cast<double>(at - stamp.at) / 1e6);
        if (--missing_[stamp.number] == 0) ++complete;
    }

    [[nodiscard]] std::size_t events_max() const { return missing_.size(); }
    [[nodiscard]] std::string latencies_json() {
        return fmt::format(R"("samples":{},"p50_ms":{:.4f},"p90_ms":{:.4f},"p99_ms":{:.4f})",
                           latencies_ms_.size(), percentile(latencies_ms_, 0.50),
                           percentile(latencies_ms_, 0.90), percentile(latencies_ms_, 0.99));
    }

    std::size_t deliveries = 0, complete = 0;
    std::uint32_t counted_from = 0; // earlier events warm up

private:
    std::vector<std::uint32_t> missing_; // deliveries of each event
    std::vector<double> latencies_ms_;
};

/// Server and client over a stretch of time.
class Window {
public:
    explicit Window(const ServerProcess& server)
        : server_(server), wall_(now()), cpu_(server.cpu()), waited_(server.waited()) {
        busy_.begin();
    }
    void end() {
        wall_ = now() - wall_;
        cpu_ = server_.cpu() - cpu_;
        waited_ = server_.waited() - waited_;
        busy_.end();
    }
    [[nodiscard]] double seconds() const { return static_cast<double>(wall_) / 1e9; }
    [[nodiscard]] double cpu_us() const { return static_cast<double>(cpu_) / 1e3; }
    [[nodiscard]] std::string json() const {
        return fmt::format(R"("seconds":{:.3f},"server_cpu":{:.3f},"server_waited":{:.3f},{})",
                           seconds(), static_cast<double>(cpu_) / static_cast<double>(wall_),
                           static_cast<double>(waited_) / static_cast<double>(wall_), busy_.json());
    }

private:
    const ServerProcess& server_;
    Nanoseconds wall_, cpu_, waited_;
    Busy busy_;
};

int process_id(const Arguments& arguments) { return static_cast<int>(arguments.number("pid")); }
int port(const Arguments& arguments) { return static_cast<int>(arguments.number("port")); }

/// Memory and CPU of connections that then say nothing. The first ones stay too, so that code that
/// is loaded or compiled once does not count.
int run_idle(const Arguments& arguments) {
    const auto count = static_cast<std::size_t>(arguments.number("connections", 10'000));
    const ServerProcess server(process_id(arguments));
    Clients clients;
    clients.connect(static_cast<std::size_t>(arguments.number("warmup", 1'000)), port(arguments));
    clients.pump_for(2);
    const double before_kb = server.resident_kb();
    Window window(server);
    clients.connect(count, port(arguments));
    clients.pump_for(trailing_seconds); // what the server still does for the last ones
    window.end();
    clients.pump_for(arguments.number("settle", 4));
    const auto each = static_cast<double>(count);
    fmt::print(R"({{"samples":{},"idle_kb":{:.3f},"connect_us":{:.2f},"rate":{:.0f},{}}})"
               "\n",
               count, (server.resident_kb() - before_kb) / each, window.cpu_us() / each,
               each / (window.seconds() - trailing_seconds), window.json());
    return 0;
}

/// As many broadcasts as the server bears with some in flight: what a delivery costs it.
int run_broadcast(const Arguments& arguments) {
    const auto members = static_cast<std::size_t>(arguments.number("members", 1'000));
    const auto in_flight = static_cast<std::size_t>(arguments.number("in-flight", 4));
    const ServerProcess server(process_id(arguments));
    Clients clients;
    clients.connect(members + 1, port(arguments));
    clients.join(0, members);
    Deliveries got(members, 1'000'000);
    clients.set_sink(&got);
    std::uint32_t published = 0;
    const auto run = [&](double seconds) {
        for (const Nanoseconds until = now() + nanoseconds(seconds); now() < until;) {
            while (published < got.complete + in_flight && published < got.events_max())
                clients.publish(members, {now(), published++});
            if (clients.pump(now() + nanoseconds(answer_seconds_max)) == 0)
                die("no delivery for a long time");
        }
    };
    run(arguments.number("warmup", 1));
    got.counted_from = published;
    const std::size_t before = got.deliveries;
    Window window(server);
    run(arguments.number("seconds", 5));
    window.end();
    const auto deliveries = static_cast<double>(got.deliveries - before);
    fmt::print(R"({{"deliveries":{:.0f},"delivery_us":{:.3f},"rate":{:.0f},{},{}}})"
               "\n",
               deliveries, window.cpu_us() / deliveries, deliveries / window.seconds(),
               got.latencies_json(), window.json());
    return 0;
}

/// Publishes by a clock, whatever the server does: what it is late with counts from the time that
/// the clock named.
class Pace {
public:
    Pace(Clients& clients, Deliveries& got, double rate)
        : clients_(clients), got_(got), rate_(rate) {}

    /// Of `events` the first `warmup` are not measured. False: not all came.
    template <class Publish>
    bool run(std::uint32_t events, std::uint32_t warmup, Publish publish) {
        got_.counted_from = warmup;
        const Nanoseconds start = now() + 1'000'000;
        std::uint32_t next = 0;
        Nanoseconds heard = now();
        while (got_.complete < events) {
            const Nanoseconds due = start + static_cast<Nanoseconds>(next * 1e9 / rate_);
            if (next < events && now() >= due) {
                if (next == warmup) busy_.clear();
                busy_.begin();
                late_ms_.push_back(static_cast<double>(now() - due) / 1e6);
                publish(Stamp{due, next++});
                heard = now();
                continue;
            }
            if (clients_.pump(next < events ? due : now() + 100'000'000) > 0) heard = now();
            // Only while something is on its way can the client be what is slow.
            if (got_.complete == next) busy_.end();
            if (now() - heard > nanoseconds(answer_seconds_max)) return false;
        }
        busy_.end();
        return true;
    }
    [[nodiscard]] std::string json() {
        return fmt::format(R"("busy":{{{}}},"published_late_p99_ms":{:.3f})", busy_.json(),
                           percentile(late_ms_, 0.99));
    }

private:
    Clients& clients_;
    Deliveries& got_;
    double rate_;
    Busy busy_;
    std::vector<double> late_ms_;
};

template <class Publish>
int run_paced(const Arguments& arguments, Clients& clients, std::size_t members, Publish publish) {
    const double rate = arguments.number("rate");
    const auto warmup =
        static_cast<std::uint32_t>(std::max(1.0, rate * arguments.number("warmup", 1)));
    const auto events =
        warmup + static_cast<std::uint32_t>(std::ceil(rate * arguments.number("seconds", 10)));
    const ServerProcess server(process_id(arguments));
    Deliveries got(members, events);
    clients.set_sink(&got);
    Pace pace(clients, got, rate);
    Window window(server);
    const bool all = pace.run(events, warmup, publish);
    window.end();
    fmt::print(R"({{"events":{},"members":{},"lost":{},{},{},{}}})"
               "\n",
               events, members, all ? 0 : std::size_t{events} * members - got.deliveries,
               got.latencies_json(), window.json(), pace.json());
    return 0;
}

/// A room of many, so many broadcasts a second.
int run_rate(const Arguments& arguments) {
    const auto members = static_cast<std::size_t>(arguments.number("members"));
    Clients clients;
    clients.connect(members + 1, port(arguments));
    clients.join(0, members);
    clients.pump_for(1);
    return run_paced(arguments, clients, members,
                     [&](Stamp stamp) { clients.publish(members, stamp); });
}

/// Published at one node, got by a client of the other.
int run_cross(const Arguments& arguments) {
    Clients clients;
    clients.connect(1, port(arguments));
    clients.connect(1, static_cast<int>(arguments.number("from-port")));
    clients.join(0, 1);
    clients.pump_for(1);
    return run_paced(arguments, clients, 1,
                     [&](Stamp stamp) { clients.publish(1, {now(), stamp.number}); });
}

/// What redis-emitter 5.1.0 publishes for to(room).emit("m", data), as MessagePack.
std::string emitter_message(std::string_view data) {
    const auto text = [](std::string_view value) {
        std::string out;
        if (value.size() < 32) {
            out += static_cast<char>(0xa0U | value.size());
        } else {
            out += '\xd9';
            out += static_cast<char>(value.size());
        }
        return out.append(value);
    };
    std::string out = "\x93" + text("emitter");
    out += "\x83" + text("type") + "\x02" + text("data") + "\x92" + text("m") + text(data) +
           text("nsp") + text("/");
    out += "\x83" + text("rooms") + "\x91" + text(room) + text("flags") + "\x80" + text("except") +
           "\x90";
    return out;
}

class Redis {
public:
    explicit Redis(int port) : descriptor_(::socket(AF_INET, SOCK_STREAM, 0)) {
        sockaddr_in target{};
        target.sin_family = AF_INET;
        target.sin_port = htons(static_cast<std::uint16_t>(port));
        target.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        if (::connect(descriptor_, reinterpret_cast<sockaddr*>(&target), sizeof target) != 0)
            die(std::string("Redis: ") + std::strerror(errno));
        const int on = 1;
        ::setsockopt(descriptor_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    }
    /// Takes the answers of earlier ones as they come.
    void publish(std::string_view channel, std::string_view body) {
        const std::string command = fmt::format("*3\r\n$7\r\nPUBLISH\r\n${}\r\n{}\r\n${}\r\n{}\r\n",
                                                channel.size(), channel, body.size(), body);
        if (::send(descriptor_, command.data(), command.size(), MSG_NOSIGNAL) !=
            static_cast<ssize_t>(command.size()))
            die(std::string("Redis: ") + std::strerror(errno));
        std::array<char, 4096> answers;
        const ssize_t size = ::recv(descriptor_, answers.data(), answers.size(), MSG_DONTWAIT);
        if (size > 0 && std::memchr(answers.data(), '-', static_cast<std::size_t>(size)))
            die("Redis: an error");
    }

private:
    int descriptor_;
};

/// Published on Redis as the emitter does, got by one client.
int run_emitter(const Arguments& arguments) {
    Clients clients;
    clients.connect(1, port(arguments));
    clients.join(0, 1);
    clients.pump_for(1);
    Redis redis(static_cast<int>(arguments.number("redis-port")));
    const std::string channel = fmt::format("socket.io#/#{}#", room);
    return run_paced(arguments, clients, 1, [&](Stamp stamp) {
        redis.publish(channel, emitter_message(stamped({now(), stamp.number})));
    });
}

class Echoes final : public Sink {
public:
    explicit Echoes(Clients& clients)
        : clients_(clients),
          sent_(clients.count()),
          text_(R"(421["echo",")" + std::string(data_bytes, 'e') + R"("])") {}
    void send(std::size_t client) {
        sent_[client] = now();
        clients_.send(client, text_);
    }
    void on_ack(std::size_t client) override {
        ++count;
        latencies_ms.push_back(static_cast<double>(now() - sent_[client]) / 1e6);
        send(client);
    }

    std::size_t count = 0;
    std::vector<double> latencies_ms;

private:
    Clients& clients_;
    std::vector<Nanoseconds> sent_;
    std::string text_;
};

/// Each client sends the next as soon as the last is acknowledged.
int run_echo(const Arguments& arguments) {
    const auto count = static_cast<std::size_t>(arguments.number("connections", 64));
    const ServerProcess server(process_id(arguments));
    Clients clients;
    clients.connect(count, port(arguments));
    Echoes echoes(clients);
    clients.set_sink(&echoes);
    for (std::size_t i = 0; i < count; ++i)
        echoes.send(i);
    clients.pump_for(arguments.number("warmup", 1));
    echoes.count = 0;
    echoes.latencies_ms.clear();
    Window window(server);
    clients.pump_for(arguments.number("seconds", 5));
    window.end();
    if (echoes.count == 0) die("no echo came back");
    const auto each = static_cast<double>(echoes.count);
    fmt::print(
        R"({{"samples":{},"echo_us":{:.3f},"rate":{:.0f},"p50_ms":{:.4f},"p99_ms":{:.4f},{}}})"
        "\n",
        echoes.count, window.cpu_us() / each, each / window.seconds(),
        percentile(echoes.latencies_ms, 0.50), percentile(echoes.latencies_ms, 0.99),
        window.json());
    return 0;
}

} // namespace
} // namespace netbuild::bench

int main(int count, char** values) {
    using namespace netbuild::bench;
    const std::string_view command = count > 1 ? values[1] : "";
    const Arguments arguments(count, values);
    if (command == "idle") return run_idle(arguments);
    if (command == "broadcast") return run_broadcast(arguments);
    if (command == "rate") return run_rate(arguments);
    if (command == "cross") return run_cross(arguments);
    if (command == "emitter") return run_emitter(arguments);
    if (command == "echo") return run_echo(arguments);
    die("usage: netbuild_realtime_bench idle|broadcast|rate|cross|emitter|echo --port P --pid PID "
        "[--name value]…");
}
