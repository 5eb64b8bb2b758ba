// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <map>
#include <set>
#include <string>
#include <vector>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/post.hpp>

#include "ports/cluster_bus.hpp"
#include "runtime/clock.hpp"

namespace netbuild::test {

/// Pub/Sub, streams and keys in memory. Messages are delivered in later turns, in order. Nodes are
/// told apart by when they subscribed: each first subscribes to what it has alone or shares.
class FakeBus final : public ClusterBus {
public:
    /// Without a clock nothing expires.
    explicit FakeBus(asio::any_io_executor executor, const Clock* clock = nullptr)
        : executor_(std::move(executor)), clock_(clock) {}

    bool away = false;

    /// The n-th node (from 0) gets nothing any more, but stays subscribed.
    void freeze_since(std::size_t node) { frozen_.insert(node); }
    void inject_everywhere(std::string text) {
        for (const auto& [id, each] : listeners_)
            asio::post(executor_,
                       [this, id = id, name = each.name, text] { give(id, name, text); });
        for (const auto& [id, each] : followers_)
            each(
                {std::to_string(++last_id_) + "-0", {{"nsp", "/"}, {"type", "3"}, {"data", text}}});
    }

    Subscription subscribe(Kind kind, std::string name, OnMessage on_message) override {
        listeners_.emplace(++last_, Listener{kind, std::move(name), std::move(on_message), nodes_});
        return last_;
    }
    void unsubscribe(Subscription subscription) override { listeners_.erase(subscription); }
    awaitable<result<void>> subscribed() override {
        ++nodes_;
        co_return result<void>{};
    }
    void publish(Kind kind, std::string_view channel, std::string_view message) override {
        if (away) return void(++counters_.dropped);
        for (const auto& [id, each] : listeners_) {
            const bool matches =
                each.kind == Kind::pattern
                    ? kind == Kind::channel &&
                          channel.starts_with(each.name.substr(0, each.name.size() - 1))
                    : each.kind == kind && each.name == channel;
            if (!matches) continue;
            asio::post(executor_, [this, id = id, channel = std::string(channel),
                                   message = std::string(message)] { give(id, channel, message); });
        }
    }
    awaitable<result<std::size_t>> subscribers(Kind kind, std::string channel) override {
        if (away) co_return fail(ErrorCode::unavailable, "the bus is away");
        std::size_t count = 0;
        for (const auto& [id, each] : listeners_)
            if (each.kind == kind && each.name == channel) ++count;
        co_return count;
    }
    awaitable<result<std::vector<std::string>>> channels(Kind kind, std::string) override {
        std::set<std::string> names;
        for (const auto& [id, each] : listeners_)
            if (each.kind == kind) names.insert(each.name);
        co_return std::vector<std::string>(names.begin(), names.end());
    }
    void append(std::string, std::size_t, Fields fields, OnAppended on_appended) override {
        if (away) return on_appended(fail(ErrorCode::unavailable, "the bus is away"));
        stream_.push_back({std::to_string(++last_id_) + "-0", std::move(fields)});
        const Entry entry = stream_.back();
        on_appended(entry.id);
        for (const auto& [id, each] : followers_)
            asio::post(executor_, [each, entry] { each(entry); });
    }
    awaitable<result<Following>> follow(std::string, OnEntry on_entry) override {
        followers_.emplace(++last_, std::move(on_entry));
        co_return Following{.subscription = last_, .after = std::to_string(last_id_) + "-0"};
    }
    void unfollow(Subscription subscription) override { followers_.erase(subscription); }
    awaitable<result<std::vector<Entry>>> range(std::string, std::string from, std::string to,
                                                std::size_t count) override {
        const bool after = from.starts_with('(');
        const long first = std::stol(after ? from.substr(1) : from), last = std::stol(to);
        std::vector<Entry> found;
        for (const Entry& entry : stream_) {
            const long id = std::stol(entry.id);
            if (id >= first + (after ? 1 : 0) && id <= last && found.size() < count)
                found.push_back(entry);
        }
        co_return found;
    }
    void put(std::string key, std::string value, std::chrono::milliseconds) override {
        keys_[key] = std::move(value);
    }
    awaitable<result<std::optional<std::string>>> take(std::string key) override {
        auto node = keys_.extract(key);
        if (!node) co_return std::optional<std::string>();
        co_return std::optional<std::string>(std::move(node.mapped()));
    }
    void keep(std::string key, Versioned value, std::chrono::milliseconds lifetime,
              OnKept on_kept) override {
        if (away) return on_kept(lost());
        const Record* there = record(key);
        if (there && there->value.generation > value.generation) return on_kept(false);
        records_[key] = {std::move(value), now() + lifetime};
        on_kept(true);
    }
    awaitable<result<std::optional<Versioned>>> read(std::string key) override {
        if (away) co_return lost();
        const Record* there = record(key);
        co_return there ? std::optional(there->value) : std::nullopt;
    }
    awaitable<result<std::optional<Versioned>>> raise(std::string key,
                                                      std::chrono::milliseconds lifetime) override {
        if (away) co_return lost();
        Record* there = record(key);
        if (!there || there->value.value.empty()) co_return std::optional<Versioned>();
        ++there->value.generation;
        there->until = now() + lifetime;
        co_return std::optional(there->value);
    }
    awaitable<result<Lease>> hold(LeaseTerms terms) override {
        if (away) co_return lost();
        auto& [lease, until] = leases_[terms.key];
        if (lease.holder != terms.holder) {
            if (!lease.holder.empty() && until > now()) co_return lease;
            lease.holder = terms.holder;
            ++lease.generation;
        }
        until = now() + terms.lifetime;
        co_return lease;
    }
    awaitable<result<void>> release(LeaseTerms terms) override {
        if (away) co_return lost();
        Lease& lease = leases_[terms.key].first;
        if (lease.holder == terms.holder) lease.holder.clear();
        co_return result<void>{};
    }
    /// The answer to the next send_as_holder() is lost, but not what it sent.
    bool loses_next_answer = false;
    awaitable<result<bool>> send_as_holder(LeaseTerms terms, std::uint64_t generation,
                                           std::string note,
                                           std::vector<Outgoing> messages) override {
        if (away) co_return lost();
        auto& [lease, until] = leases_[terms.key];
        if (lease.holder != terms.holder || lease.generation != generation) co_return false;
        lease.note = std::move(note);
        until = now() + terms.lifetime;
        for (Outgoing& each : messages) {
            if (each.to == Outgoing::To::stream) {
                append(each.name, each.length_max, std::move(each.fields),
                       [](const result<std::string>&) {});
            } else {
                publish(each.to == Outgoing::To::shard ? Kind::shard : Kind::channel, each.name,
                        each.message);
            }
        }
        if (std::exchange(loses_next_answer, false))
            co_return fail(ErrorCode::outcome_unknown, "the answer was lost");
        co_return true;
    }
    Counters counters() const override { return counters_; }

private:
    struct Record {
        Versioned value;
        Clock::duration until{};
    };
    [[nodiscard]] static Error lost() { return fail(ErrorCode::unavailable, "the bus is away"); }
    [[nodiscard]] Clock::duration now() const {
        return clock_ ? clock_->monotonic() : Clock::duration::zero();
    }
    Record* record(const std::string& key) {
        const auto found = records_.find(key);
        if (found != records_.end() && clock_ && found->second.until <= now()) {
            records_.erase(found);
            return nullptr;
        }
        return found == records_.end() ? nullptr : &found->second;
    }
    struct Listener {
        Kind kind;
        std::string name;
        OnMessage on_message;
        std::size_t node;
    };
    void give(Subscription id, const std::string& channel, const std::string& message) {
        const auto found = listeners_.find(id);
        if (found == listeners_.end() || frozen_.contains(found->second.node)) return;
        const OnMessage on_message = found->second.on_message;
        on_message(channel, message);
    }

    asio::any_io_executor executor_;
    const Clock* clock_;
    std::map<std::string, Record> records_;
    std::map<std::string, std::pair<Lease, Clock::duration>> leases_;
    std::map<Subscription, Listener> listeners_;
    std::map<Subscription, OnEntry> followers_;
    std::vector<Entry> stream_;
    std::map<std::string, std::string> keys_;
    std::set<std::size_t> frozen_;
    std::size_t nodes_ = 0;
    Subscription last_ = 0;
    long last_id_ = 1000;
    Counters counters_;
};

} // namespace netbuild::test
