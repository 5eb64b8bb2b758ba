// SPDX-License-Identifier: Apache-2.0
#include "running_server.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include <fmt/format.h>

#include "http/tls_identity.hpp"
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

struct Question {
    std::string host;
    std::uint16_t port = 0;
    /// The server's, if it speaks TLS.
    std::string certificate;
    std::string method, path, token, body;
};

Error silent(const std::string& why) { return fail(ErrorCode::unavailable, why); }

/// The server is ours and closes the connection after its answer.
template <class Stream>
awaitable<result<Answer>> converse(Stream& stream, const Question& question) {
    const std::string request =
        fmt::format("{} {} HTTP/1.1\r\nHost: {}\r\n{}{}{}Content-Length: {}\r\n"
                    "Connection: close\r\n\r\n{}",
                    question.method, question.path, question.host,
                    question.token.empty() ? "" : "Authorization: Bearer ", question.token,
                    question.token.empty() ? "" : "\r\n", question.body.size(), question.body);
    auto [write_error, written] =
        co_await asio::async_write(stream, asio::buffer(request), as_outcome);
    if (write_error) co_return silent(write_error.message());
    std::string answer;
    auto [read_error, read] = co_await asio::async_read(
        stream, asio::dynamic_buffer(answer, answer_bytes_max), as_outcome);
    const auto body = answer.find("\r\n\r\n");
    if (read_error != asio::error::eof || !answer.starts_with("HTTP/1.1 ") ||
        body == std::string::npos)
        co_return silent("what came is no whole answer");
    co_return Answer{std::atoi(answer.c_str() + 9), answer.substr(body + 4)};
}

awaitable<result<Answer>> exchange(asio::any_io_executor executor, Question question) {
    asio::ip::tcp::socket socket(executor);
    boost::system::error_code ec;
    auto address =
        asio::ip::make_address(question.host == "localhost" ? "127.0.0.1" : question.host, ec);
    if (ec) co_return silent(ec.message());
    std::tie(ec) = co_await socket.async_connect({address, question.port}, as_outcome);
    if (ec) co_return silent(ec.message());
    if (question.certificate.empty()) co_return co_await converse(socket, question);
    // This is the server's machine and configuration: it must show the very certificate, whoever
    // signed it and whatever host it is for. The handshake proves that it has the key.
    asio::ssl::context context(asio::ssl::context::tls_client);
    asio::ssl::stream<asio::ip::tcp::socket> secure(std::move(socket), context);
    std::tie(ec) = co_await secure.async_handshake(asio::ssl::stream_base::client, as_outcome);
    if (ec) co_return silent("TLS: " + ec.message());
    if (!http::shows_certificate(secure.native_handle(), question.certificate))
        co_return silent("its certificate is not that of http.tls_certificate " +
                         question.certificate);
    co_return co_await converse(secure, question);
}

awaitable<result<Answer>> ask(app::Application& application, std::string method, std::string path,
                              std::string token, std::string body = {}) {
    using namespace asio::experimental::awaitable_operators;
    const auto& configuration = application.configuration();
    auto first =
        co_await (exchange(application.executor(),
                           Question{configuration.text("http.host"),
                                    static_cast<std::uint16_t>(configuration.integer("http.port")),
                                    configuration.text("http.tls_certificate"), std::move(method),
                                    std::move(path), std::move(token), std::move(body)}) ||
                  application.clock().sleep(answers_within));
    if (first.index() == 1) co_return silent("nothing came in time");
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
                       fmt::format("no server answers at {}:{}: {}",
                                   configuration.text("http.host"), configuration.text("http.port"),
                                   answer.error().detail()));
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
