// SPDX-License-Identifier: Apache-2.0
#include "realtime/recovering_adapter.hpp"

#include <algorithm>
#include <charconv>
#include <deque>
#include <map>
#include <unordered_map>

#include "local_adapter.hpp"
#include "session.hpp"

namespace netbuild::realtime {
namespace {

class RecoveringAdapter final : public LocalAdapter {
public:
    RecoveringAdapter(LocalNamespace& local, Clock& clock, RecoveryOptions options)
        : LocalAdapter(local),
          clock_(clock),
          options_(options),
          epoch_(SessionId::random().view()) {}

    [[nodiscard]] bool recoverable() const override { return true; }

    void broadcast(socketio::Packet packet, Audience audience) override {
        if (packet.type != socketio::PacketType::event || packet.id || audience.flags.is_volatile)
            return LocalAdapter::broadcast(std::move(packet), std::move(audience));
        const std::string offset = offset_of(first_ + events_.size());
        local_.broadcast(packet, audience, offset);
        Kept kept{std::move(packet.data), std::move(audience), clock_.monotonic(), 0};
        if (auto* event = kept.data.get_if<Array>()) event->push_back(offset);
        kept.bytes = approximate_bytes(kept.data);
        bytes_ += kept.bytes;
        events_.push_back(std::move(kept));
        forget_old();
    }

    void save_session(SavedSession session) override {
        forget_old();
        const std::string pid = session.pid;
        if (const auto earlier = sessions_.find(pid); earlier != sessions_.end()) erase(earlier);
        const auto order = order_.emplace_hint(order_.end(), next_order_++, pid);
        sessions_.emplace(pid, Left{std::move(session), clock_.monotonic(), order->first});
    }

    asio::awaitable<std::optional<RecoveredSession>> restore_session(std::string pid,
                                                                     std::string offset) override {
        forget_old();
        const auto found = sessions_.find(pid);
        if (found == sessions_.end()) co_return std::nullopt;
        const auto at = index_of(offset);
        if (!at) co_return std::nullopt;
        RecoveredSession recovered{std::move(found->second.session), {}};
        erase(found);
        for (std::size_t i = *at + 1; i < events_.size(); ++i) {
            const Kept& event = events_[i];
            if (!meant(recovered.session.rooms, event.audience)) continue;
            if (const auto* data = event.data.get_if<Array>()) recovered.missed.push_back(*data);
        }
        co_return recovered;
    }

private:
    struct Kept {
        Value data;
        Audience audience;
        Clock::duration at;
        std::size_t bytes;
    };
    struct Left {
        SavedSession session;
        Clock::duration at;
        std::uint64_t order;
    };
    using Sessions = std::unordered_map<std::string, Left>;

    /// Of this life of this adapter: an offset of another is not known.
    [[nodiscard]] std::string offset_of(std::uint64_t number) const {
        return epoch_ + "." + std::to_string(number);
    }
    [[nodiscard]] std::optional<std::size_t> index_of(std::string_view offset) const {
        if (!offset.starts_with(epoch_) || offset.size() < epoch_.size() + 2) return std::nullopt;
        offset.remove_prefix(epoch_.size() + 1);
        std::uint64_t number = 0;
        const auto [end, ec] =
            std::from_chars(offset.data(), offset.data() + offset.size(), number);
        if (ec != std::errc{} || end != offset.data() + offset.size()) return std::nullopt;
        if (number < first_ || number - first_ >= events_.size()) return std::nullopt;
        return static_cast<std::size_t>(number - first_);
    }
    static bool meant(const std::vector<std::string>& rooms, const Audience& audience) {
        const auto has = [&](const std::string& room) {
            return std::find(rooms.begin(), rooms.end(), room) != rooms.end();
        };
        return (audience.rooms.empty() ||
                std::any_of(audience.rooms.begin(), audience.rooms.end(), has)) &&
               std::none_of(audience.except.begin(), audience.except.end(), has);
    }
    void erase(Sessions::iterator session) {
        order_.erase(session->second.order);
        sessions_.erase(session);
    }
    void forget_old() {
        const auto oldest = clock_.monotonic() - options_.disconnection_max;
        while (!events_.empty() &&
               (events_.front().at < oldest || events_.size() > options_.events_max ||
                bytes_ > options_.event_bytes_max)) {
            bytes_ -= events_.front().bytes;
            events_.pop_front();
            ++first_;
        }
        while (!order_.empty()) {
            const auto session = sessions_.find(order_.begin()->second);
            if (session->second.at >= oldest && sessions_.size() < options_.sessions_max) break;
            erase(session);
        }
    }

    Clock& clock_;
    RecoveryOptions options_;
    std::string epoch_;
    std::deque<Kept> events_;
    std::uint64_t first_ = 0; // number of events_.front()
    std::size_t bytes_ = 0;
    Sessions sessions_;
    std::map<std::uint64_t, std::string> order_; // by when they left
    std::uint64_t next_order_ = 0;
};

} // namespace

std::unique_ptr<Adapter> recovering_adapter(LocalNamespace& local, Clock& clock,
                                            RecoveryOptions options) {
    return std::make_unique<RecoveringAdapter>(local, clock, options);
}

} // namespace netbuild::realtime
