// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <functional>
#include <optional>

#include "ports/record_store.hpp"
#include "runtime/random.hpp"

namespace netbuild::data {

/// A write that its client may send any number of times.
struct KeyedRequest {
    /// Whose key it is: other callers' are others.
    std::string subject;
    /// The header's value, from read_idempotency_key().
    std::string key;
    /// request_fingerprint(): what the key stands for.
    std::string fingerprint;
};

/// The answer of the one time that the write was done.
struct KeptAnswer {
    int status = 200;
    std::string body;
};

/// 1 to 255 visible ASCII characters (draft-ietf-httpapi-idempotency-key-header). invalid_argument
/// that names the header; what the client sent is never in it.
[[nodiscard]] result<std::string> read_idempotency_key(std::string_view header);
/// SHA-256 of method, path and canonical JSON of the body: neither the order of its members nor
/// white space makes another request.
[[nodiscard]] std::string request_fingerprint(std::string_view method, std::string_view path,
                                              const Value& body);

/// Does a write once a key. The answer is a record of the same commit as the write, so that one is
/// there exactly if the other is: after a crash, a lost connection or a race the retry with the
/// same key finds the answer, or does the write.
///
/// A write that is refused with `conflict`, for what it is about is in another state, leaves that
/// refusal as the key's answer. Any other failure leaves nothing, and the key is as new.
/// Answers are kept for `kept_for` at least, until the next removal of what has expired.
class Idempotency {
public:
    Idempotency(RecordStore& records, Clock& clock, Random& random)
        : records_(records), clock_(clock), random_(random) {}

    struct Decision {
        KeptAnswer answer;
        std::vector<RecordWrite> writes;
    };
    /// Reads what there is and says what to write and to answer. It is called again if somebody
    /// else wrote meanwhile.
    using Decide = std::function<awaitable<result<Decision>>()>;

    /// Fails with conflict (the key stands for another request; or the refusal), overloaded (others
    /// were faster every time: nothing was written), outcome_unknown and unavailable (the same key
    /// again tells), and with what `decide` fails with.
    awaitable<result<KeptAnswer>> once(KeyedRequest request, Decide decide);

    static constexpr std::chrono::hours kept_for{24};
    static constexpr int attempts_max = 40;

private:
    /// nullopt: the key is new. A kept refusal is the error.
    awaitable<result<std::optional<KeptAnswer>>> kept(const std::string& id,
                                                      const std::string& fingerprint);
    awaitable<result<std::optional<KeptAnswer>>>
    attempt(const std::string& id, const KeyedRequest& request, const Decide& decide);
    [[nodiscard]] RecordWrite record(const std::string& id, const KeyedRequest& request,
                                     Object answer) const;

    RecordStore& records_;
    Clock& clock_;
    Random& random_;
};

} // namespace netbuild::data
