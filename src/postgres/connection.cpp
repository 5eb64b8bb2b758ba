// SPDX-License-Identifier: Apache-2.0
#include "postgres/connection.hpp"

#include <algorithm>
#include <set>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <fmt/format.h>
#include <libpq-fe.h>

namespace netbuild::postgres {
namespace {

struct Finish {
    void operator()(PGconn* connection) const noexcept { PQfinish(connection); }
};
struct Clear {
    void operator()(PGresult* result) const noexcept { PQclear(result); }
};
struct FreeMemory {
    void operator()(char* memory) const noexcept { PQfreemem(memory); }
};
using ResultPtr = std::unique_ptr<PGresult, Clear>;

/// One line without libpq's prefixes.
std::string one_line(std::string_view message) {
    std::string text(message);
    while (!text.empty() && text.back() == '\n')
        text.pop_back();
    std::replace(text.begin(), text.end(), '\n', ' ');
    return text;
}

/// https://www.postgresql.org/docs/current/errcodes-appendix.html
ErrorCode code_of(std::string_view sqlstate) {
    if (sqlstate == "55006") return ErrorCode::slot_in_use;       // object_in_use
    if (sqlstate == "57014") return ErrorCode::deadline_exceeded; // query_canceled
    if (sqlstate == "42501") return ErrorCode::forbidden;
    if (sqlstate == "42704" || sqlstate == "42P01") return ErrorCode::not_found;
    if (sqlstate == "53200") return ErrorCode::out_of_memory;
    if (sqlstate.starts_with("28")) return ErrorCode::unauthorized;
    if (sqlstate.starts_with("08") || sqlstate.starts_with("57P") || sqlstate.starts_with("53")) {
        return ErrorCode::unavailable;
    }
    // duplicate_object, unique_violation: another worker has made it.
    if (sqlstate == "42710" || sqlstate == "23505") return ErrorCode::conflict;
    if (sqlstate.starts_with("40")) return ErrorCode::conflict;
    if (sqlstate.starts_with("22") || sqlstate.starts_with("42"))
        return ErrorCode::invalid_argument;
    return sqlstate.empty() ? ErrorCode::unavailable : ErrorCode::internal;
}

} // namespace

struct Rows::Data {
    ResultPtr result;
};

int Rows::count() const { return data_ ? PQntuples(data_->result.get()) : 0; }
int Rows::columns() const { return data_ ? PQnfields(data_->result.get()) : 0; }
std::string_view Rows::text(int row, int column) const {
    return {PQgetvalue(data_->result.get(), row, column),
            static_cast<std::size_t>(PQgetlength(data_->result.get(), row, column))};
}
bool Rows::is_null(int row, int column) const {
    return PQgetisnull(data_->result.get(), row, column) == 1;
}
std::optional<std::string_view> Rows::get(int row, int column) const {
    return is_null(row, column) ? std::nullopt : std::optional(text(row, column));
}

std::string ConnectionOptions::address() const {
    const auto part = [&](const char* key, const char* otherwise) {
        const auto found = parameters.find(key);
        return found == parameters.end() ? std::string(otherwise) : found->second;
    };
    return fmt::format("{}:{}/{}", part("host", "127.0.0.1"), part("port", "5432"),
                       part("dbname", ""));
}

struct Connection::Impl {
    Impl(asio::any_io_executor executor, Clock& time, std::string name, Clock::duration limit)
        : clock(time),
          answer_limit(limit),
          descriptor(std::move(executor)),
          address(std::move(name)) {}
    ~Impl() { release(); }

    /// The socket is libpq's: Asio must let go of it before libpq closes it.
    void release() {
        if (descriptor.is_open()) (void)descriptor.release();
    }
    void assign() {
        release();
        descriptor.assign(PQsocket(connection.get()));
    }

    [[nodiscard]] Error lost() const {
        return fail(
            ErrorCode::unavailable,
            fmt::format("PostgreSQL {}: {}", address, one_line(PQerrorMessage(connection.get()))));
    }
    [[nodiscard]] Error failed(const PGresult* result) const {
        const char* sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
        const char* message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
        if (!message) return lost();
        return fail(code_of(sqlstate ? sqlstate : ""),
                    fmt::format("PostgreSQL {}: {}{}", address, one_line(message),
                                sqlstate ? fmt::format(" ({})", sqlstate) : ""));
    }

    awaitable<result<void>> wait(asio::posix::stream_descriptor::wait_type what) {
        if (deadline) co_return co_await wait_until_deadline(what);
        const auto [ec] = co_await descriptor.async_wait(what, asio::as_tuple(asio::use_awaitable));
        if (ec) co_return fail(ErrorCode::cancelled, "PostgreSQL " + address);
        co_return result<void>{};
    }
    awaitable<result<void>> wait_until_deadline(asio::posix::stream_descriptor::wait_type what) {
        using namespace asio::experimental::awaitable_operators;
        auto first = co_await (descriptor.async_wait(what, asio::as_tuple(asio::use_awaitable)) ||
                               clock.sleep(deadline->left(clock)));
        if (first.index() == 1) {
            CO_TRY_VOID(std::get<1>(std::move(first)));
            co_return fail(ErrorCode::unavailable,
                           fmt::format("PostgreSQL {}: no answer in time", address));
        }
        if (std::get<0>(std::get<0>(first)))
            co_return fail(ErrorCode::cancelled, "PostgreSQL " + address);
        co_return result<void>{};
    }

    awaitable<result<void>> flush() {
        while (true) {
            const int left = PQflush(connection.get());
            if (left == 0) co_return result<void>{};
            if (left < 0) co_return lost();
            // Ready for either: the server may have to be read before it reads.
            CO_TRY_VOID(co_await wait(asio::posix::stream_descriptor::wait_write));
            if (PQconsumeInput(connection.get()) == 0) co_return lost();
        }
    }

    /// The next result, or null at the end of a statement.
    awaitable<result<ResultPtr>> next_result() {
        while (PQisBusy(connection.get()) != 0) {
            CO_TRY_VOID(co_await wait(asio::posix::stream_descriptor::wait_read));
            if (PQconsumeInput(connection.get()) == 0) co_return lost();
        }
        co_return ResultPtr(PQgetResult(connection.get()));
    }

    awaitable<result<void>> poll_connect() {
        using Wait = asio::posix::stream_descriptor;
        PostgresPollingStatusType state = PGRES_POLLING_WRITING;
        while (state != PGRES_POLLING_OK) {
            if (state == PGRES_POLLING_FAILED) {
                const std::string_view message = PQerrorMessage(connection.get());
                const bool denied =
                    message.find("authentication") != std::string_view::npos ||
                    message.find("no password supplied") != std::string_view::npos ||
                    message.find("no pg_hba.conf entry") != std::string_view::npos ||
                    message.find("role \"") != std::string_view::npos;
                Error error = lost();
                if (message.find("certificate file") != std::string_view::npos ||
                    message.find("private key file") != std::string_view::npos)
                    co_return fail(ErrorCode::invalid_configuration, error.detail());
                co_return denied ? fail(ErrorCode::unauthorized, error.detail()) : error;
            }
            assign(); // libpq may have gone on to another address
            CO_TRY_VOID(
                co_await wait(state == PGRES_POLLING_READING ? Wait::wait_read : Wait::wait_write));
            state = PQconnectPoll(connection.get());
        }
        assign();
        co_return result<void>{};
    }

    /// Of the statement under way.
    class Limit {
    public:
        Limit(Impl& impl, Clock::duration time) : impl_(impl) {
            impl_.deadline.emplace(impl.clock, time);
        }
        ~Limit() { impl_.deadline.reset(); }
        Limit(const Limit&) = delete;

    private:
        Impl& impl_;
    };

    Clock& clock;
    const Clock::duration answer_limit;
    std::optional<Deadline> deadline;
    asio::posix::stream_descriptor descriptor;
    std::unique_ptr<PGconn, Finish> connection;
    std::string address;
    std::set<std::string> prepared;
    std::unique_ptr<char, FreeMemory> copied;
};

Connection::Connection(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Connection::~Connection() {
    if (impl_) impl_->release();
}

awaitable<result<std::unique_ptr<Connection>>>
Connection::connect(asio::any_io_executor executor, Clock& clock, ConnectionOptions options) {
    using namespace asio::experimental::awaitable_operators;
    auto parameters = options.parameters;
    parameters.try_emplace("application_name", "netbuild");
    parameters.try_emplace("client_encoding", "UTF8");
    parameters.try_emplace("keepalives_idle", "15");
    parameters.try_emplace("tcp_user_timeout", "30000");
    const auto timeout_ms =
        std::chrono::duration_cast<std::chrono::milliseconds>(options.statement_timeout).count();
    if (!parameters.contains("replication")) {
        // The text forms that the projection reads, whatever the role's or the database's defaults.
        parameters["options"] =
            fmt::format("-c statement_timeout={} -c DateStyle=ISO,YMD -c bytea_output=hex -c "
                        "extra_float_digits=1 -c TimeZone=UTC",
                        timeout_ms);
    }
    std::vector<const char*> keys, values;
    for (const auto& [key, value] : parameters) {
        keys.push_back(key.c_str());
        values.push_back(value.c_str());
    }
    keys.push_back(nullptr);
    values.push_back(nullptr);
    const auto limit = options.statement_timeout == Clock::duration::zero()
                           ? options.answer_time_max
                           : options.statement_timeout + options.answer_grace;
    auto impl = std::make_unique<Impl>(executor, clock, options.address(), limit);
    impl->connection.reset(PQconnectStartParams(keys.data(), values.data(), 0));
    if (!impl->connection) co_return fail(ErrorCode::out_of_memory, "libpq");
    if (PQstatus(impl->connection.get()) == CONNECTION_BAD) co_return impl->lost();
    auto first = co_await (impl->poll_connect() || clock.sleep(options.connect_timeout));
    if (first.index() == 1) {
        CO_TRY_VOID(std::get<1>(std::move(first)));
        co_return fail(ErrorCode::unavailable,
                       fmt::format("PostgreSQL {}: no answer within {} ms", options.address(),
                                   std::chrono::duration_cast<std::chrono::milliseconds>(
                                       options.connect_timeout)
                                       .count()));
    }
    CO_TRY_VOID(std::get<0>(std::move(first)));
    PQsetnonblocking(impl->connection.get(), 1);
    // Notices would go to stderr.
    PQsetNoticeProcessor(impl->connection.get(), [](void*, const char*) {}, nullptr);
    co_return std::unique_ptr<Connection>(new Connection(std::move(impl)));
}

awaitable<result<Rows>> Connection::query(Statement statement) {
    std::vector<Statement> one;
    one.push_back(std::move(statement));
    CO_TRY(auto answers, co_await pipeline(std::move(one)));
    co_return std::move(answers.front());
}

awaitable<result<std::vector<Rows>>> Connection::pipeline(std::vector<Statement> statements) {
    const Impl::Limit limit(*impl_, impl_->answer_limit);
    PGconn* connection = impl_->connection.get();
    if (PQenterPipelineMode(connection) == 0) co_return impl_->lost();
    std::vector<bool> wanted; // for each command sent: are its rows an answer
    bool sent = true;
    for (const Statement& statement : statements) {
        std::vector<const char*> values;
        for (const auto& parameter : statement.parameters)
            values.push_back(parameter ? parameter->c_str() : nullptr);
        const int count = static_cast<int>(values.size());
        if (statement.name.empty()) {
            sent &= PQsendQueryParams(connection, statement.sql.c_str(), count, nullptr,
                                      values.data(), nullptr, nullptr, 0) == 1;
        } else {
            if (!impl_->prepared.contains(statement.name)) {
                sent &= PQsendPrepare(connection, statement.name.c_str(), statement.sql.c_str(),
                                      count, nullptr) == 1;
                wanted.push_back(false);
            }
            sent &= PQsendQueryPrepared(connection, statement.name.c_str(), count, values.data(),
                                        nullptr, nullptr, 0) == 1;
        }
        wanted.push_back(true);
    }
    if (!sent || PQpipelineSync(connection) == 0) co_return impl_->lost();
    CO_TRY_VOID(co_await impl_->flush());
    std::vector<Rows> answers;
    std::optional<Error> error;
    // All results are read before an error is told: the connection must be usable afterwards.
    for (const bool is_answer : wanted) {
        while (true) {
            CO_TRY(ResultPtr result, co_await impl_->next_result());
            if (!result) break;
            const auto status = PQresultStatus(result.get());
            if (status == PGRES_FATAL_ERROR && !error) error = impl_->failed(result.get());
            if (is_answer && (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK)) {
                answers.emplace_back(std::make_shared<Rows::Data>(Rows::Data{std::move(result)}));
            }
        }
        if (PQstatus(connection) == CONNECTION_BAD) co_return error ? *error : impl_->lost();
    }
    CO_TRY(const ResultPtr sync, co_await impl_->next_result());
    PQexitPipelineMode(connection);
    if (error) co_return std::move(*error);
    for (const Statement& statement : statements) {
        if (!statement.name.empty()) impl_->prepared.insert(statement.name);
    }
    co_return answers;
}

awaitable<result<Rows>> Connection::simple(std::string sql) {
    return simple(std::move(sql), impl_->answer_limit);
}

awaitable<result<Rows>> Connection::simple(std::string sql, Clock::duration time) {
    const Impl::Limit limit(*impl_, time);
    if (PQsendQuery(impl_->connection.get(), sql.c_str()) == 0) co_return impl_->lost();
    CO_TRY_VOID(co_await impl_->flush());
    Rows last;
    std::optional<Error> error;
    while (true) {
        CO_TRY(ResultPtr result, co_await impl_->next_result());
        if (!result) break;
        const auto status = PQresultStatus(result.get());
        if (status == PGRES_FATAL_ERROR) {
            if (!error) error = impl_->failed(result.get());
            if (PQstatus(impl_->connection.get()) == CONNECTION_BAD) break;
        } else {
            last = Rows(std::make_shared<Rows::Data>(Rows::Data{std::move(result)}));
        }
    }
    if (error) co_return std::move(*error);
    co_return last;
}

awaitable<result<void>> Connection::start_copies(std::string sql) {
    if (PQsendQuery(impl_->connection.get(), sql.c_str()) == 0) co_return impl_->lost();
    co_return co_await impl_->flush();
}

awaitable<result<bool>> Connection::next_copy() {
    std::optional<Error> error;
    while (true) {
        CO_TRY(const ResultPtr result, co_await impl_->next_result());
        if (!result) break;
        const auto status = PQresultStatus(result.get());
        if (status == PGRES_COPY_OUT) co_return true;
        if (status != PGRES_FATAL_ERROR) continue; // the end of the one before
        if (!error) error = impl_->failed(result.get());
        if (PQstatus(impl_->connection.get()) == CONNECTION_BAD) break;
    }
    if (error) co_return std::move(*error);
    co_return false;
}

result<Connection::CopyOut> Connection::copy_row(std::span<char>& row) {
    char* bytes = nullptr;
    const int length = PQgetCopyData(impl_->connection.get(), &bytes, 1);
    impl_->copied.reset(bytes);
    if (length == 0) return CopyOut::wait;
    if (length == -1) return CopyOut::end; // next_copy() says whether it is a good one
    if (length < 0) return impl_->lost();
    row = {bytes, static_cast<std::size_t>(length)};
    return CopyOut::row;
}

awaitable<result<void>> Connection::start_copy_both(std::string sql) {
    const Impl::Limit limit(*impl_, impl_->answer_limit);
    if (PQsendQuery(impl_->connection.get(), sql.c_str()) == 0) co_return impl_->lost();
    CO_TRY_VOID(co_await impl_->flush());
    CO_TRY(const ResultPtr result, co_await impl_->next_result());
    if (!result) co_return impl_->lost();
    if (PQresultStatus(result.get()) == PGRES_COPY_BOTH) co_return netbuild::result<void>{};
    co_return impl_->failed(result.get());
}

result<std::optional<std::string_view>> Connection::copy_read() {
    char* bytes = nullptr;
    const int length = PQgetCopyData(impl_->connection.get(), &bytes, 1);
    impl_->copied.reset(bytes);
    if (length > 0) return std::optional(std::string_view(bytes, static_cast<std::size_t>(length)));
    if (length == 0) return std::optional<std::string_view>();
    if (length == -1) { // the server ended the COPY: its reason is the next result
        const ResultPtr result(PQgetResult(impl_->connection.get()));
        if (result && PQresultStatus(result.get()) == PGRES_FATAL_ERROR)
            return impl_->failed(result.get());
        return fail(ErrorCode::unavailable,
                    fmt::format("PostgreSQL {}: the stream was ended", impl_->address));
    }
    return impl_->lost();
}

awaitable<result<void>> Connection::wait_readable() {
    CO_TRY_VOID(co_await impl_->wait(asio::posix::stream_descriptor::wait_read));
    co_return consume();
}

result<void> Connection::consume() {
    if (PQconsumeInput(impl_->connection.get()) == 0) return impl_->lost();
    return {};
}

void Connection::interrupt() { impl_->descriptor.cancel(); }

awaitable<result<void>> Connection::copy_write(std::string bytes) {
    if (PQputCopyData(impl_->connection.get(), bytes.data(), static_cast<int>(bytes.size())) != 1) {
        co_return impl_->lost();
    }
    co_return co_await impl_->flush();
}

int Connection::server_version() const { return PQserverVersion(impl_->connection.get()); }
bool Connection::broken() const {
    return PQstatus(impl_->connection.get()) == CONNECTION_BAD ||
           PQtransactionStatus(impl_->connection.get()) != PQTRANS_IDLE;
}

std::string quote_literal(std::string_view text) {
    std::string out = "'";
    for (const char c : text) {
        if (c == '\'') out.push_back('\'');
        out.push_back(c);
    }
    return out + "'"; // standard_conforming_strings is on: a backslash is itself
}

std::string quote_identifier(std::string_view name) {
    std::string out = "\"";
    for (const char c : name) {
        if (c == '"') out.push_back('"');
        out.push_back(c);
    }
    return out + "\"";
}

} // namespace netbuild::postgres
