// SPDX-License-Identifier: Apache-2.0
#include "running_server.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include <fmt/format.h>

#include "wire/json.hpp"

namespace netbuild::cli {
namespace {

constexpr std::chrono::milliseconds answers_within{500};
constexpr std::size_t answer_bytes_max = 1024 * 1024;
constexpr auto as_outcome = asio::as_tuple(asio::use_awaitable);

/// The body of an answer 200; the server is ours and closes the connection after it.
awaitable<std::optional<std::string>> get(asio::any_io_executor executor, std::string host,
                                          std::uint16_t port, std::string path, std::string token) {
    asio::ip::tcp::socket socket(executor);
    boost::system::error_code ec;
    auto address = asio::ip::make_address(host == "localhost" ? "127.0.0.1" : host, ec);
    if (ec) co_return std::nullopt;
    std::tie(ec) = co_await socket.async_connect({address, port}, as_outcome);
    if (ec) co_return std::nullopt;
    const std::string request = fmt::format(
        "GET {} HTTP/1.1\r\nHost: {}\r\n{}{}{}Connection: close\r\n\r\n", path, host,
        token.empty() ? "" : "Authorization: Bearer ", token, token.empty() ? "" : "\r\n");
    auto [write_error, written] =
        co_await asio::async_write(socket, asio::buffer(request), as_outcome);
    if (write_error) co_return std::nullopt;
    std::string answer;
    auto [read_error, read] = co_await asio::async_read(
        socket, asio::dynamic_buffer(answer, answer_bytes_max), as_outcome);
    const auto body = answer.find("\r\n\r\n");
    if (read_error != asio::error::eof || !answer.starts_with("HTTP/1.1 200") ||
        body == std::string::npos)
        co_return std::nullopt;
    co_return answer.substr(body + 4);
}

} // namespace

awaitable<std::optional<Object>> ask_running_server(app::Application& application) {
    using namespace asio::experimental::awaitable_operators;
    const auto& configuration = application.configuration();
    std::string token;
    if (configuration.text("http.auth") == "token") {
        auto signed_one = co_await application.identity().shell_token();
        if (!signed_one) co_return std::nullopt; // no server has served from this store yet
        token = std::move(*signed_one);
    }
    auto first = co_await (get(application.executor(), configuration.text("http.host"),
                               static_cast<std::uint16_t>(configuration.integer("http.port")),
                               "/v1/sync", token) ||
                           application.clock().sleep(answers_within));
    if (first.index() == 1 || !std::get<0>(first)) co_return std::nullopt;
    auto parsed = parse_json(*std::get<0>(first));
    auto* object = parsed ? parsed->get_if<Object>() : nullptr;
    const Value* engine = object ? object->find("engine") : nullptr;
    const auto own = app::pipeline_options(configuration);
    if (!engine || !own || engine->string_or() != own->engine) co_return std::nullopt;
    co_return std::move(*object);
}

} // namespace netbuild::cli
