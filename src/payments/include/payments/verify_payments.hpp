// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <functional>

#include "ports/record_store.hpp"

namespace netbuild::payments {

struct PaymentFault {
    std::string payment_id;
    std::string what;
};
struct PaymentReport {
    std::uint64_t payments = 0, events = 0;
    std::uint64_t fault_count = 0;
    /// The first ones.
    std::vector<PaymentFault> faults;
    /// Payments that somebody was changing at every look.
    std::uint64_t busy = 0;

    static constexpr std::size_t faults_max = 100;
};

/// Compares every payment with the fold of its events: each event is a transition of the table, the
/// numbers are 1, 2, 3 … up to the payment's version, status and balances are what they come to; no
/// payment is without events and no event without its payment. Writes may go on meanwhile: what
/// differs is looked at again.
awaitable<result<PaymentReport>>
verify_payments(RecordStore& records, std::function<void(const PaymentReport& so_far)> progress);

} // namespace netbuild::payments
