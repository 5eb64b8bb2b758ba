// SPDX-License-Identifier: Apache-2.0
#include "payments/verify_payments.hpp"

#include <fmt/format.h>

#include "data/payment_records.hpp"
#include "payments/payments.hpp"

namespace netbuild::payments {
namespace {

using Op = RecordCondition::Operator;

constexpr std::size_t page = RecordQuery::limit_max;
constexpr std::size_t compared_together = 200;
constexpr int looks_max = 5;

/// One payment's events, as they come.
class Fold {
public:
    explicit Fold(std::string payment_id) : payment_id_(std::move(payment_id)) {}

    void add(const Value& event) {
        if (!fault_.empty()) return;
        ++count_;
        if (count_ == 1) {
            currency_ = event.text_at("currency");
            domain_id_ = event.text_at("domainId");
        }
        const std::int64_t number = event.integer_at("number", -1);
        if (number != count_) {
            fault_ = number > count_ ? fmt::format("event {} is missing", count_)
                                     : fmt::format("event {} is there twice", number);
            return;
        }
        fault_ = take(event);
    }

    /// Empty: the payment is what its events come to.
    [[nodiscard]] std::string differs_from(const Value* payment) const {
        if (!fault_.empty()) return fault_;
        if (count_ == 0) return payment ? "it has no events" : "";
        if (!payment) return fmt::format("there are {} events and no payment", count_);
        const auto state = state_of(*payment);
        if (!state) return state.error().detail();
        if (record_version(*payment) != count_)
            return fmt::format("it is at version {}, its events at {}", record_version(*payment),
                               count_);
        if (state->status != state_.status)
            return fmt::format("it is {}, by its events {}", status_name(*state->status),
                               status_name(*state_.status));
        if (!(state->balances == state_.balances))
            return fmt::format("amount/authorized/captured/refunded are {}, by its events {}",
                               text(state->balances), text(state_.balances));
        if (payment->text_at("currency") != currency_ || payment->text_at("domainId") != domain_id_)
            return "its currency or domain is not its events'";
        return {};
    }

    [[nodiscard]] const std::string& payment_id() const { return payment_id_; }

private:
    static std::string text(const Balances& balances) {
        return fmt::format("{}/{}/{}/{}", balances.amount, balances.authorized, balances.captured,
                           balances.refunded);
    }

    std::string take(const Value& event) {
        const auto refuse = [&](std::string_view why) {
            return fmt::format("event {}: {}", count_, why);
        };
        const auto action = parse_action(event.text_at("action"));
        const auto to = parse_status(event.text_at("to"));
        if (!action || !to) return refuse("no such action or status");
        if (event.text_at("from") != (state_.status ? status_name(*state_.status) : ""))
            return refuse("begins in another state than the one before ended in");
        if (record_id(event) != event_id(payment_id_, count_) || record_version(event) != 1)
            return refuse("was changed");
        if (event.text_at("currency") != currency_ || event.text_at("domainId") != domain_id_)
            return refuse("has another currency or domain");
        auto next = after(state_, *action, event.integer_at("amount", -1), *to);
        if (!next) return refuse(next.error().detail());
        state_ = *next;
        return {};
    }

    std::string payment_id_, currency_, domain_id_;
    State state_;
    std::int64_t count_ = 0;
    std::string fault_;
};

class Verification {
public:
    Verification(RecordStore& records, std::function<void(const PaymentReport&)> progress)
        : records_(records), progress_(std::move(progress)) {}

    awaitable<result<PaymentReport>> run() {
        CO_TRY_VOID(co_await walk_events());
        CO_TRY_VOID(co_await walk_payments());
        co_return std::move(report_);
    }

private:
    awaitable<result<void>> walk_events() {
        RecordQuery query{
            .collection = &data::payment_events, .sort = {"paymentId", "number"}, .limit = page};
        std::vector<Fold> folds;
        while (true) {
            CO_TRY(const RecordPage found, co_await records_.find(query));
            for (const ValuePtr& event : found.items) {
                const std::string_view id = event->text_at("paymentId");
                if (folds.empty() || folds.back().payment_id() != id) {
                    if (folds.size() == compared_together) {
                        CO_TRY_VOID(co_await compare(folds));
                        folds.clear();
                    }
                    folds.emplace_back(std::string(id));
                }
                folds.back().add(*event);
                ++report_.events;
            }
            if (found.next.empty()) break;
            query.after = found.next;
        }
        co_return co_await compare(folds);
    }

    awaitable<result<void>> compare(const std::vector<Fold>& folds) {
        std::vector<std::string> ids;
        for (const Fold& fold : folds)
            ids.push_back(fold.payment_id());
        if (ids.empty()) co_return result<void>{};
        CO_TRY(const auto payments, co_await records_.get(data::payments, ids));
        for (std::size_t i = 0; i < ids.size(); ++i) {
            if (!folds[i].differs_from(payments[i].get()).empty())
                CO_TRY_VOID(co_await look_again(ids[i]));
        }
        if (progress_) progress_(report_);
        co_return result<void>{};
    }

    /// What has no events at all is in no fold.
    awaitable<result<void>> walk_payments() {
        RecordQuery query{.collection = &data::payments, .limit = page};
        while (true) {
            CO_TRY(const RecordPage found, co_await records_.find(query));
            std::vector<std::string> ids, firsts;
            for (const ValuePtr& payment : found.items) {
                ids.push_back(record_id(*payment));
                firsts.push_back(event_id(ids.back(), 1));
            }
            report_.payments += ids.size();
            if (!ids.empty()) {
                CO_TRY(const auto events, co_await records_.get(data::payment_events, firsts));
                for (std::size_t i = 0; i < ids.size(); ++i) {
                    if (!events[i]) CO_TRY_VOID(co_await look_again(ids[i]));
                }
            }
            if (progress_) progress_(report_);
            if (found.next.empty()) co_return result<void>{};
            query.after = found.next;
        }
    }

    /// Payment and events were not read at one time: only if the payment stayed as it is while its
    /// events were read is a difference one.
    awaitable<result<void>> look_again(std::string id) {
        for (int look = 0; look < looks_max; ++look) {
            CO_TRY(const auto before, co_await records_.get(data::payments, {id}));
            CO_TRY(const Fold fold, co_await fold_of(id));
            CO_TRY(const auto now, co_await records_.get(data::payments, {id}));
            const bool same =
                !before.front() == !now.front() &&
                (!now.front() || record_version(*now.front()) == record_version(*before.front()));
            if (!same) continue;
            note(id, fold.differs_from(now.front().get()));
            co_return result<void>{};
        }
        ++report_.busy;
        co_return result<void>{};
    }

    awaitable<result<Fold>> fold_of(std::string id) {
        Fold fold(id);
        RecordQuery query{.collection = &data::payment_events,
                          .where = {{"paymentId", Op::equal, id}},
                          .sort = {"paymentId", "number"},
                          .limit = page};
        while (true) {
            CO_TRY(const RecordPage found, co_await records_.find(query));
            for (const ValuePtr& event : found.items)
                fold.add(*event);
            if (found.next.empty()) co_return std::move(fold);
            query.after = found.next;
        }
    }

    void note(const std::string& id, std::string what) {
        if (what.empty()) return;
        for (const PaymentFault& known : report_.faults) {
            if (known.payment_id == id) return; // both walks came by
        }
        ++report_.fault_count;
        if (report_.faults.size() < PaymentReport::faults_max)
            report_.faults.push_back({id, std::move(what)});
    }

    RecordStore& records_;
    std::function<void(const PaymentReport&)> progress_;
    PaymentReport report_;
};

} // namespace

awaitable<result<PaymentReport>>
verify_payments(RecordStore& records, std::function<void(const PaymentReport& so_far)> progress) {
    Verification verification(records, std::move(progress));
    co_return co_await verification.run();
}

} // namespace netbuild::payments
