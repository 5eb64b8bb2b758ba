// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <filesystem>
#include <stdexcept>
#include <string>

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <unistd.h>

namespace netbuild::test {

/// A port of this process until it ends: locked as the tests in Python lock theirs
/// (e2e/harness.py), so that no two tests that run side by side take the same one.
inline std::string free_port() {
    const auto folder = std::filesystem::temp_directory_path() /
                        ("netbuild-test-ports-" + std::to_string(getuid()));
    std::filesystem::create_directories(folder);
    for (int port = 29000; port < 30000; ++port) {
        const int lock =
            open((folder / std::to_string(port)).c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0644);
        if (lock < 0) continue;
        const int probe = socket(AF_INET, SOCK_STREAM, 0);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(static_cast<std::uint16_t>(port));
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        const bool ours =
            flock(lock, LOCK_EX | LOCK_NB) == 0 &&
            bind(probe, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
        close(probe);
        if (ours) return std::to_string(port); // the lock stays until the process ends
        close(lock);
    }
    throw std::runtime_error("no free port from 29000 to 29999");
}

} // namespace netbuild::test
