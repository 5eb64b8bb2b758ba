// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <array>
#include <chrono>
#include <cstdio>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "support/child_process.hpp"
#include "support/free_port.hpp"
#include "support/temporary_folder.hpp"

namespace netbuild::test {

/// Redis servers of one test, which may end them and change what they are.
class PrivateRedis {
public:
    /// `cluster`: one Redis Cluster of masters, each with one replica where there are six servers.
    PrivateRedis(int servers, bool cluster, std::vector<std::string> settings = {})
        : settings_(std::move(settings)), cluster_(cluster) {
        std::string addresses;
        for (int i = 0; i < servers; ++i) {
            ports_.push_back(free_port());
            bus_ports_.push_back(free_port());
            processes_.emplace_back();
            start(i);
            addresses += " 127.0.0.1:" + ports_.back();
        }
        for (int i = 0; i < servers; ++i)
            until(i, "ping", "PONG");
        if (!cluster) return;
        shell("redis-cli --cluster create" + addresses + " --cluster-replicas " +
              (servers >= 6 ? "1" : "0") + " --cluster-yes");
        for (int i = 0; i < servers; ++i) {
            until(i, "cluster info", "cluster_state:ok");
            until(i, "cluster info", "cluster_known_nodes:" + std::to_string(servers));
        }
    }
    void start(int server) {
        const std::string folder = folder_.file(ports_[server]);
        shell("mkdir -p " + folder);
        std::vector<std::string> command{
            "redis-server", "--port", ports_[server], "--bind", "127.0.0.1", "--save", "", "--dir",
            folder, "--logfile", folder + "/log",
            // A replica has its data at once, and not after waiting for others.
            "--repl-diskless-sync-delay", "0"};
        if (cluster_)
            command.insert(command.end(), {"--cluster-enabled", "yes", "--cluster-port",
                                           bus_ports_[server], "--cluster-node-timeout", "1000"});
        command.insert(command.end(), settings_.begin(), settings_.end());
        processes_[server] = std::make_unique<ChildProcess>(std::move(command));
    }
    void kill(int server) { processes_[server]->kill_now(); }
    void hang(int server) const { processes_[server]->hang(); }
    void go_on(int server) const { processes_[server]->go_on(); }

    /// What redis-cli prints.
    std::string ask(int server, const std::string& command) const {
        return shell("redis-cli -p " + ports_[server] + " " + command + " 2>&1");
    }
    void until(int server, const std::string& command, const std::string& part) const {
        for (int tries = 0; tries < 600; ++tries) {
            if (ask(server, command).find(part) != std::string::npos) return;
            std::this_thread::sleep_for(std::chrono::milliseconds(50));
        }
        throw std::runtime_error(command + " never said " + part);
    }
    /// The server at this address.
    [[nodiscard]] int at(const std::string& port) const {
        for (std::size_t i = 0; i < ports_.size(); ++i)
            if (ports_[i] == port) return static_cast<int>(i);
        throw std::runtime_error("no server at port " + port);
    }
    /// The master of a cluster that has the slot of `key`, as the first server says.
    [[nodiscard]] int owner(const std::string& key) const {
        const std::string said = ask(0, "get " + key); // "MOVED 123 127.0.0.1:PORT", or its value
        if (said.find("MOVED") == std::string::npos) return 0;
        return at(number_after(said, ":"));
    }
    /// The one that follows this master.
    [[nodiscard]] int replica_of(int master) const {
        until(master, "info replication", "state=online");
        return at(number_after(ask(master, "info replication"), "port="));
    }
    [[nodiscard]] const std::string& port(int server) const { return ports_[server]; }
    [[nodiscard]] std::string url(int server) const {
        return "redis://127.0.0.1:" + ports_[server];
    }

private:
    static std::string number_after(const std::string& text, const std::string& word) {
        const auto from = text.find(word) + word.size();
        return text.substr(from, text.find_first_not_of("0123456789", from) - from);
    }
    static std::string shell(const std::string& command) {
        const std::unique_ptr<FILE, int (*)(FILE*)> pipe(popen(command.c_str(), "r"), pclose);
        if (!pipe) throw std::runtime_error("popen failed");
        std::string out;
        std::array<char, 4096> piece{};
        while (const std::size_t size = fread(piece.data(), 1, piece.size(), pipe.get()))
            out.append(piece.data(), size);
        return out;
    }
    TemporaryFolder folder_;
    std::vector<std::string> settings_;
    bool cluster_;
    std::vector<std::string> ports_, bus_ports_;
    std::vector<std::unique_ptr<ChildProcess>> processes_;
};

} // namespace netbuild::test
