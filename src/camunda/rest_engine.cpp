// SPDX-License-Identifier: Apache-2.0
#include "camunda/rest_engine.hpp"

#include <algorithm>
#include <vector>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>

#include <fmt/format.h>

#include "wire/base64.hpp"
#include "wire/json.hpp"
#include "wire/percent.hpp"

namespace netbuild {

namespace beast = boost::beast;
using tcp = asio::ip::tcp;
constexpr auto as_result = asio::as_tuple(asio::use_awaitable);

namespace {

constexpr std::size_t instances_max = 20;

} // namespace

class RestEngine::Impl {
public:
    Impl(asio::any_io_executor executor, Options options)
        : executor_(std::move(executor)), options_(std::move(options)) {
        std::string_view rest = options_.url;
        constexpr std::string_view scheme = "http://";
        usable_ = rest.starts_with(scheme);
        if (usable_) rest.remove_prefix(scheme.size());
        const auto slash = rest.find('/');
        authority_ = rest.substr(0, slash);
        base_ = slash == std::string_view::npos ? "" : rest.substr(slash);
        while (base_.ends_with('/'))
            base_.pop_back();
        const auto colon = authority_.find(':');
        host_ = authority_.substr(0, colon);
        port_ = colon == std::string::npos ? "80" : authority_.substr(colon + 1);
    }

    /// nullopt: 404.
    awaitable<result<std::optional<Value>>> get(std::string path) {
        if (!usable_) co_return fail(ErrorCode::unsupported, "camunda.url: only http:// is spoken");
        while (true) {
            const bool kept = !idle_.empty();
            CO_TRY(Stream stream, co_await connection());
            auto answer = co_await exchange(*stream, path);
            // A kept connection may have been closed by the server meanwhile: a GET can be asked
            // again.
            if (!answer && kept && answer.error().code() == ErrorCode::unavailable) continue;
            if (!answer) co_return std::move(answer).error();
            if (answer->keep_alive() && idle_.size() < options_.idle_connections_max)
                idle_.push_back(std::move(stream));
            const auto status = answer->result_int();
            if (status == 404) co_return std::optional<Value>();
            if (status == 401 || status == 403)
                co_return fail(ErrorCode::unauthorized,
                               fmt::format("Camunda {}: status {}", options_.url, status));
            if (status != 200)
                co_return fail(ErrorCode::unavailable,
                               fmt::format("Camunda {}: status {}", options_.url, status));
            auto parsed = parse_json(answer->body());
            if (!parsed)
                co_return fail(ErrorCode::unavailable,
                               fmt::format("Camunda {}: the answer is no JSON", options_.url));
            co_return std::optional(std::move(*parsed));
        }
    }

private:
    using Stream = std::unique_ptr<beast::tcp_stream>;
    using Answer = beast::http::response<beast::http::string_body>;

    [[nodiscard]] Error unavailable(const boost::system::error_code& ec) const {
        if (ec == asio::error::operation_aborted)
            return fail(ErrorCode::cancelled, "Camunda " + options_.url);
        return fail(ec == beast::error::timeout ? ErrorCode::deadline_exceeded
                                                : ErrorCode::unavailable,
                    fmt::format("Camunda {}: {}", options_.url, ec.message()));
    }

    awaitable<result<Stream>> connection() {
        if (!idle_.empty()) {
            Stream kept = std::move(idle_.back());
            idle_.pop_back();
            co_return kept;
        }
        tcp::resolver resolver(executor_);
        auto [resolve_error, endpoints] = co_await resolver.async_resolve(host_, port_, as_result);
        if (resolve_error) co_return unavailable(resolve_error);
        auto stream = std::make_unique<beast::tcp_stream>(executor_);
        stream->expires_after(options_.timeout);
        const auto [ec, endpoint] = co_await stream->async_connect(endpoints, as_result);
        if (ec) co_return unavailable(ec);
        boost::system::error_code ignored;
        stream->socket().set_option(tcp::no_delay(true), ignored);
        co_return stream;
    }

    awaitable<result<Answer>> exchange(beast::tcp_stream& stream, std::string path) {
        beast::http::request<beast::http::empty_body> request(beast::http::verb::get, base_ + path,
                                                              11);
        request.set(beast::http::field::host, authority_);
        request.set(beast::http::field::accept, "application/json");
        if (!options_.user.empty()) {
            request.set(beast::http::field::authorization,
                        "Basic " + encode_base64(options_.user + ":" + options_.password));
        }
        stream.expires_after(options_.timeout);
        const auto [write_error, written] =
            co_await beast::http::async_write(stream, request, as_result);
        if (write_error) co_return unavailable(write_error);
        beast::flat_buffer buffer;
        beast::http::response_parser<beast::http::string_body> parser;
        parser.body_limit(options_.answer_bytes_max);
        const auto [read_error, read] =
            co_await beast::http::async_read(stream, buffer, parser, as_result);
        if (read_error) co_return unavailable(read_error);
        stream.expires_never();
        co_return parser.release();
    }

    asio::any_io_executor executor_;
    Options options_;
    std::string authority_, base_, host_, port_;
    bool usable_ = false;
    std::vector<Stream> idle_;
};

RestEngine::RestEngine(asio::any_io_executor executor, Options options)
    : impl_(std::make_unique<Impl>(std::move(executor), std::move(options))) {}
RestEngine::~RestEngine() = default;

awaitable<result<void>> RestEngine::ping() {
    CO_TRY_VOID(co_await impl_->get("/engine"));
    co_return result<void>{};
}

awaitable<result<std::vector<EngineExecution>>> RestEngine::executions(InstanceKey key) {
    std::vector<EngineExecution> found;
    Array instances;
    if (key.kind == InstanceKey::Kind::process_instance_id) {
        CO_TRY(auto one, co_await impl_->get("/process-instance/" + percent_encode(key.value)));
        if (one) instances.push_back(std::move(*one));
    } else {
        CO_TRY(auto list,
               co_await impl_->get(fmt::format("/process-instance?businessKey={}&maxResults={}",
                                               percent_encode(key.value), instances_max)));
        if (list && list->is<Array>()) instances = std::move(*list->get_if<Array>());
        if (instances.size() > 1) { // only history knows which one is the newest
            CO_TRY(const auto history, co_await impl_->get(fmt::format(
                                           "/history/"
                                           "process-instance?processInstanceBusinessKey={}&"
                                           "unfinished=true&sortBy=startTime&sortOrder=desc",
                                           percent_encode(key.value))));
            std::vector<std::string> order;
            if (const auto* rows = history ? history->get_if<Array>() : nullptr) {
                for (const Value& row : *rows) {
                    if (const Value* id = row.at_path("id")) order.emplace_back(id->string_or());
                }
            }
            const auto place = [&](const Value& instance) {
                const Value* id = instance.at_path("id");
                return std::find(order.begin(), order.end(),
                                 id ? id->string_or() : std::string_view{}) -
                       order.begin();
            };
            std::sort(
                instances.begin(), instances.end(),
                [&](const Value& left, const Value& right) { return place(left) < place(right); });
        }
    }
    for (Value& instance : instances) {
        auto* state = instance.get_if<Object>();
        if (!state)
            co_return fail(ErrorCode::unavailable,
                           "Camunda's REST: a process instance is no object");
        EngineExecution execution;
        const Value* id = state->find("id");
        const Value* business_key = state->find("businessKey");
        execution.process_instance_id = id ? id->string_or() : std::string_view{};
        execution.business_key = business_key ? business_key->string_or() : std::string_view{};
        execution.process_state = std::move(*state);
        found.push_back(std::move(execution));
    }
    if (found.empty()) co_return found;
    // The newest one's tasks; of the others only the ids are told.
    CO_TRY(auto tasks, co_await impl_->get(
                           fmt::format("/task?processInstanceId={}&sortBy=created&sortOrder=asc",
                                       percent_encode(found.front().process_instance_id))));
    if (tasks && tasks->is<Array>())
        found.front().active_tasks = std::move(*tasks->get_if<Array>());
    co_return found;
}

} // namespace netbuild
