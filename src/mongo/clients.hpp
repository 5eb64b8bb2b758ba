// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "handles.hpp"
#include "ports/document_store.hpp"
#include "runtime/blocking_pool.hpp"

namespace netbuild::mongo {

/// https://www.mongodb.com/docs/manual/reference/error-codes/
[[nodiscard]] Error to_error(const bson_error_t& error, const Reply* reply = nullptr);
[[nodiscard]] result<std::vector<ValuePtr>>
read_cursor(mongoc_cursor_t* cursor, std::size_t most = std::numeric_limits<std::size_t>::max());

/// libmongoc's pool of clients for one database, and the threads on which its blocking calls run.
class Clients {
public:
    struct Options {
        std::string uri;
        /// Of the threads.
        std::string name;
        std::size_t pool_max = 50;
        std::size_t threads = 8;
        Clock::duration socket_timeout = std::chrono::seconds(45);
        Clock::duration server_selection_timeout = std::chrono::seconds(3);
    };
    explicit Clients(Options options);
    ~Clients();
    Clients(const Clients&) = delete;

    /// A client of the pool for as long as it lives.
    class Client {
    public:
        explicit Client(Clients& clients);
        ~Client();
        Client(const Client&) = delete;
        [[nodiscard]] mongoc_client_t* get() const noexcept { return client_; }
        [[nodiscard]] CollectionPtr collection(std::string_view name) const;
        [[nodiscard]] result<void> command(const Object& command) const;
        /// The answer as a document.
        [[nodiscard]] result<Value> ask(const Object& command) const;
        [[nodiscard]] const char* database() const noexcept { return clients_.database_.c_str(); }

    private:
        result<void> run(const Object& command, Reply& reply) const;

        Clients& clients_;
        mongoc_client_t* client_;
    };

    /// Runs `function` on a thread of the pool; it takes a client if it needs one.
    template <class Function>
    auto on_thread(Function function) -> awaitable<std::invoke_result_t<Function&>> {
        using Outcome = std::invoke_result_t<Function&>;
        if (configuration_error_) co_return Outcome(*configuration_error_);
        co_return co_await pool_.run(std::move(function));
    }

    /// Runs `function` with a client on a thread of the pool.
    template <class Function>
    auto with_client(Function function) -> awaitable<std::invoke_result_t<Function&, Client&>> {
        using Outcome = std::invoke_result_t<Function&, Client&>;
        if (configuration_error_) co_return Outcome(*configuration_error_);
        co_return co_await pool_.run([this, function = std::move(function)]() mutable -> Outcome {
            Client client(*this);
            return function(client);
        });
    }

private:
    std::optional<Error> configuration_error_;
    UriPtr uri_;
    PoolPtr clients_;
    std::string database_;
    BlockingPool pool_; // the last member: its threads end before the clients do
};

} // namespace netbuild::mongo
