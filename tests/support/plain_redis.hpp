// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <vector>

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/write.hpp>

#include "support/servers.hpp"

namespace netbuild::test {

/// A blocking connection that the code under test knows nothing of. Commands are inline ones: words
/// without spaces in them.
class PlainRedis {
public:
    /// `offset`: which of the stack's servers, as server_port() has it.
    explicit PlainRedis(int offset = 79) : socket_(context_) {
        boost::asio::connect(socket_, boost::asio::ip::tcp::resolver(context_).resolve(
                                          "127.0.0.1", server_port(offset)));
    }
    /// For commands that answer with a number or a word.
    std::string command(const std::string& text) {
        boost::asio::write(socket_, boost::asio::buffer(text + "\r\n"));
        return line();
    }
    void subscribe(const std::string& channel) {
        command("SUBSCRIBE " + channel);
        for (int i = 0; i < 5; ++i)
            line(); // "subscribe", the channel, how many
    }
    /// Waits for the next message of the channel.
    std::string message() {
        for (int i = 0; i < 6; ++i)
            line(); // *3, "message", the channel, the length
        return line();
    }

private:
    std::string line() {
        const auto size =
            boost::asio::read_until(socket_, boost::asio::dynamic_buffer(read_), "\r\n");
        std::string text = read_.substr(0, size - 2);
        read_.erase(0, size);
        return text;
    }
    boost::asio::io_context context_;
    boost::asio::ip::tcp::socket socket_;
    std::string read_;
};

} // namespace netbuild::test
