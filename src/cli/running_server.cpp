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
#include "wire/percent.hpp"

namespace netbuild::cli {
namespace {

constexpr std::chrono::milliseconds answers_within{500};
constexpr std::size_t answer_bytes_max = 1024 * 1024;
constexpr auto as_outcome = asio::as_tuple(asio::use_awaitable);

struct Answer {
    int status = 0;
    std::string body;
};

/// The server is ours and closes the connection after its answer.
awaitable<std::optional<Answer>> exchange(asio::any_io_executor executor, std::string host,
                                          std::uint16_t port, std::string method, std::string path,
                                          std::string token, std::string body) {
    asio::ip::tcp::socket socket(executor);
    boost::system::error_code ec;
    auto address = asio::ip::make_address(host == "localhost" ? "127.0.0.1" : host, ec);
    if (ec) co_return std::nullopt;
    std::tie(ec) = co_await socket.async_connect({address, port}, as_outcome);
    if (ec) co_return std::nullopt;
    const std::string request = fmt::format(
        "{} {} HTTP/1.1\r\nHost: {}\r\n{}{}{}Content-Length: {}\r\nConnection: close\r\n\r\n{}",
        method, path, host, token.empty() ? "" : "Authorization: Bearer ", token,
        token.empty() ? "" : "\r\n", body.size(), body);
    auto [write_error, written] =
        co_await asio::async_write(socket, asio::buffer(request), as_outcome);
    if (write_error) co_return std::nullopt;
    std::string answer;
    auto [read_error, read] = co_await asio::async_read(
        socket, asio::dynamic_buffer(answer, answer_bytes_max), as_outcome);
    const auto head = answer.find("\r\n\r\n");
    if (read_error != asio::error::eof || !answer.starts_with("HTTP/1.1 ") ||
        head == std::string::npos)
        co_return std::nullopt;
    co_return Answer{std::atoi(answer.c_str() + 9), answer.substr(head + 4)};
}

awaitable<std::optional<Answer>> ask(app::Application& application, std::string method,
                                     std::string path, std::string token, std::string body = {}) {
    using namespace asio::experimental::awaitable_operators;
    const auto& configuration = application.configuration();
    auto first =
        co_await (exchange(application.executor(), configuration.text("http.host"),
                           static_cast<std::uint16_t>(configuration.integer("http.port")),
                           std::move(method), std::move(path), std::move(token), std::move(body)) ||
                  application.clock().sleep(answers_within));
    if (first.index() == 1) co_return std::nullopt;
    co_return std::move(std::get<0>(first));
}

} // namespace

awaitable<std::optional<Object>> ask_running_server(app::Application& application) {
    const auto& configuration = application.configuration();
    std::string token;
    if (configuration.text("http.auth") == "token") {
        auto signed_one = co_await application.identity().shell_token();
        if (!signed_one) co_return std::nullopt; // no server has served from this store yet
        token = std::move(*signed_one);
    }
    const auto answer = co_await ask(application, "GET", "/v1/sync", std::move(token));
    if (!answer || answer->status != 200) co_return std::nullopt;
    auto parsed = parse_json(answer->body);
    auto* object = parsed ? parsed->get_if<Object>() : nullptr;
    const Value* engine = object ? object->find("engine") : nullptr;
    const auto own = app::pipeline_options(configuration);
    if (!engine || !own || engine->string_or() != own->engine) co_return std::nullopt;
    co_return std::move(*object);
}

awaitable<result<Value>> ask_as_admin(app::Application& application, std::string method,
                                      std::string path, std::string body) {
    const auto& configuration = application.configuration();
    std::string token;
    if (configuration.text("http.auth") == "token") {
        std::map<std::string, Role, std::less<>> roles{{std::string(every_domain), Role::admin}};
        CO_TRY(token, co_await application.identity().sign("shell", std::move(roles),
                                                           std::chrono::minutes(1)));
    }
    const auto answer = co_await ask(application, std::move(method), std::move(path),
                                     std::move(token), std::move(body));
    if (!answer)
        co_return fail(ErrorCode::unavailable,
                       fmt::format("no server answers at {}:{}", configuration.text("http.host"),
                                   configuration.text("http.port")));
    auto told = answer->body.empty() ? result<Value>(Value()) : parse_json(answer->body);
    if (!told) co_return fail(ErrorCode::unavailable, "the server's answer is no JSON");
    if (answer->status < 300) co_return told;
    const Value* detail = told->at_path("detail");
    const std::string text(detail ? detail->string_or() : std::string_view{});
    co_return fail(answer->status == 404 ? ErrorCode::not_found : ErrorCode::unsupported, text);
}

awaitable<result<Array>> ask_for_items(app::Application& application, std::string path,
                                       std::size_t items_max) {
    Array items;
    std::string cursor;
    while (items.size() < items_max) {
        CO_TRY(const Value page,
               co_await ask_as_admin(application, "GET",
                                     path + (cursor.empty() ? "" : "&cursor=" + cursor)));
        const Value* found = page.at_path("items");
        const auto* list = found ? found->get_if<Array>() : nullptr;
        if (!list) co_return fail(ErrorCode::unavailable, "the server's answer has no items");
        items.insert(items.end(), list->begin(), list->end());
        const Value* next = page.at_path("nextCursor");
        if (!next || next->is_null()) break;
        cursor = percent_encode(next->string_or());
    }
    co_return items;
}

} // namespace netbuild::cli
