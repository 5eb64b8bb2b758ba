// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <csignal>
#include <stdexcept>
#include <string>
#include <vector>

#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace netbuild::test {

/// A program that ends with its owner.
class ChildProcess {
public:
    explicit ChildProcess(std::vector<std::string> command) {
        std::vector<char*> arguments;
        for (std::string& part : command)
            arguments.push_back(part.data());
        arguments.push_back(nullptr);
        pid_ = fork();
        if (pid_ < 0) throw std::runtime_error("fork failed");
        if (pid_ == 0) {
            prctl(PR_SET_PDEATHSIG, SIGTERM); // an owner that is killed has no destructor
            execvp(arguments[0], arguments.data());
            _exit(127);
        }
    }
    ~ChildProcess() { end(SIGTERM); }
    void kill_now() { end(SIGKILL); }
    /// It does nothing until it goes on, as one that hangs; its connections stay.
    void hang() const { kill(pid_, SIGSTOP); }
    void go_on() const { kill(pid_, SIGCONT); }
    ChildProcess(const ChildProcess&) = delete;

private:
    void end(int signal) {
        if (pid_ < 0) return;
        kill(pid_, signal);
        go_on(); // one that hangs takes no signal but SIGKILL
        waitpid(pid_, nullptr, 0);
        pid_ = -1;
    }
    pid_t pid_;
};

} // namespace netbuild::test
