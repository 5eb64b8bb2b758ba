// SPDX-License-Identifier: Apache-2.0
#include "realtime/server.hpp"

#include "client.hpp"
#include "server_core.hpp"
#include "telemetry/log.hpp"

namespace netbuild::realtime {
namespace {

/// Clients are let go in so many steps.
constexpr std::size_t stop_steps = 20;
/// What is queued for them may take so long to leave.
constexpr std::chrono::seconds output_timeout{3};

/// The session owns its handler; the sockets' callbacks may outlast it.
class OwnedClient final : public SessionHandler {
public:
    explicit OwnedClient(std::shared_ptr<Client> client) : client_(std::move(client)) {}
    void on_message(std::string_view data) override { client_->on_message(data); }
    void on_binary(std::string_view data) override { client_->on_binary(data); }
    void on_close(std::string_view reason) override { client_->on_close(reason); }
    void on_pressure() override { client_->on_pressure(); }
    void on_drained() override { client_->on_drained(); }
    std::vector<std::string> last_words() override { return client_->last_words(); }

private:
    std::shared_ptr<Client> client_;
};

} // namespace

ServerCore::ServerCore(asio::any_io_executor on, Clock& of, ServerOptions with)
    : executor(on),
      clock(of),
      options(std::move(with)),
      tasks(on, [](const std::string& name, const Error& error) {
          log::error("realtime {}: {}", name, error.message());
      }) {
    engine = std::make_unique<Engine::Impl>(
        on, of, options.engine, [this](Session& session) -> std::unique_ptr<SessionHandler> {
            auto client = std::make_shared<Client>(*this, session);
            client->start();
            return std::make_unique<OwnedClient>(std::move(client));
        });
}

ServerCore::~ServerCore() = default;

Server::Server(asio::any_io_executor executor, Clock& clock, ServerOptions options)
    : core_(std::make_unique<ServerCore>(std::move(executor), clock, std::move(options))) {}
Server::~Server() = default;

Namespace& Server::of(std::string_view name) {
    const auto found = core_->namespaces.find(name);
    if (found != core_->namespaces.end()) return *found->second;
    return *core_->namespaces
                .emplace(std::string(name), std::make_unique<Namespace>(*core_, std::string(name)))
                .first->second;
}

awaitable<result<void>> Server::start() {
    for (const auto& [name, nsp] : core_->namespaces)
        CO_TRY_VOID(co_await nsp->adapter().start());
    co_return result<void>{};
}

result<void> Server::listen(const std::string& host, std::uint16_t port) {
    return core_->engine->listen(host, port);
}
std::uint16_t Server::port() const {
    boost::system::error_code ignored;
    return core_->engine->acceptor.local_endpoint(ignored).port();
}
void Server::take(std::unique_ptr<ByteStream> stream, HttpRequest request, std::string after) {
    if (core_->stopping) return;
    core_->engine->accepting = true;
    core_->engine->take(std::move(stream), std::move(request), std::move(after));
}

awaitable<void> Server::stop(Clock::duration time) {
    ServerCore& core = *core_;
    core.stopping = true;
    core.engine->stop_accepting();
    std::vector<std::shared_ptr<Session>> sessions;
    for (const auto& [id, session] : core.engine->sessions)
        sessions.push_back(session);
    const std::size_t step = std::max<std::size_t>(1, sessions.size() / stop_steps);
    for (std::size_t i = 0; i < sessions.size(); ++i) {
        if (i && i % step == 0)
            static_cast<void>(co_await core.clock.sleep(time / static_cast<int>(stop_steps)));
        sessions[i]->close("server shutting down");
    }
    sessions.clear();
    const Deadline deadline(core.clock, output_timeout);
    while (core.engine->counters.queued_bytes > 0 && !deadline.passed(core.clock))
        static_cast<void>(co_await core.clock.sleep(std::chrono::milliseconds(10)));
    co_await core.tasks.stop();
    for (const auto& [name, nsp] : core.namespaces)
        co_await nsp->adapter().stop();
}

bool Server::call_after(Clock::duration time, std::function<void()> work) {
    return core_->engine->wheel.call_after(time, std::move(work));
}
void Server::spawn(std::string name, awaitable<result<void>> task) {
    core_->tasks.spawn(std::move(name), std::move(task));
}

ServerCounters Server::counters() const {
    ServerCounters counters = core_->counters;
    counters.engine = core_->engine->counters;
    for (const auto& [name, nsp] : core_->namespaces)
        counters.rooms += nsp->room_count();
    return counters;
}

} // namespace netbuild::realtime
