// SPDX-License-Identifier: Apache-2.0
#include "encoded_bodies.hpp"

#include <algorithm>
#include <utility>

#include "wire/bson.hpp"

namespace netbuild::sqlite {

EncodedBodies::EncodedBodies(const ApplyBatch& batch) {
    writes_.reserve(batch.events.size() + batch.parts.size() + batch.documents.size());
    for (const auto* list : {&batch.events, &batch.parts, &batch.documents}) {
        for (const DocumentWrite& write : *list)
            writes_.push_back(&write);
    }
    chunks_ = (writes_.size() + chunk_writes_max - 1) / chunk_writes_max;
    slots_ = std::make_unique<Slot[]>(chunks_);
}

std::span<const DocumentWrite* const> EncodedBodies::writes_of(std::size_t chunk) const {
    const std::size_t first = chunk * chunk_writes_max;
    return std::span(writes_).subspan(first, std::min(chunk_writes_max, writes_.size() - first));
}

bool EncodedBodies::take(std::size_t chunk) {
    int expected = untouched;
    return slots_[chunk].state.compare_exchange_strong(expected, taken);
}

void EncodedBodies::encode(std::size_t chunk) {
    Slot& slot = slots_[chunk];
    slot.bytes = spare_buffer();
    for (const DocumentWrite* write : writes_of(chunk)) {
        if (write->body) append_bson(slot.bytes, *write->body->get_if<Object>());
        slot.ends.push_back(slot.bytes.size());
    }
    ahead_bytes_ += slot.bytes.size();
    slot.state = encoded;
    slot.state.notify_one();
}

std::string EncodedBodies::spare_buffer() {
    const std::scoped_lock lock(mutex_);
    if (spare_.empty()) return {};
    std::string buffer = std::move(spare_.back());
    spare_.pop_back();
    return buffer;
}

void EncodedBodies::take_back(Slot& slot) {
    ahead_bytes_ -= slot.bytes.size();
    ahead_bytes_.notify_one();
    slot.bytes.clear();
    const std::scoped_lock lock(mutex_);
    if (spare_.size() < spare_buffers_max) spare_.push_back(std::move(slot.bytes));
    slot.bytes = {};
}

void EncodedBodies::encode_ahead() {
    for (std::size_t chunk = 0; chunk < chunks_; ++chunk) {
        for (auto ahead = ahead_bytes_.load(); ahead > ahead_bytes_max && !closed_;
             ahead = ahead_bytes_.load())
            ahead_bytes_.wait(ahead);
        if (closed_) return;
        if (take(chunk)) encode(chunk);
    }
}

EncodedBodies::Chunk EncodedBodies::next() {
    if (given_) take_back(*std::exchange(given_, nullptr));
    if (passed_over_ && slots_[*passed_over_].state == encoded)
        return give(*std::exchange(passed_over_, std::nullopt));
    while (next_ < chunks_) {
        const std::size_t chunk = next_++;
        if (take(chunk)) {
            encode(chunk);
            return give(chunk);
        }
        if (slots_[chunk].state == encoded) return give(chunk);
        // The encoder is at it: later. It has one at a time, so an earlier one is ready by now.
        if (const auto earlier = std::exchange(passed_over_, chunk)) return give(*earlier);
    }
    if (!passed_over_) return {};
    const std::size_t last = *std::exchange(passed_over_, std::nullopt);
    slots_[last].state.wait(taken);
    return give(last);
}

EncodedBodies::Chunk EncodedBodies::give(std::size_t chunk) {
    given_ = &slots_[chunk];
    return {writes_of(chunk), given_->bytes, given_->ends};
}

void EncodedBodies::close() {
    closed_ = true;
    // A change of the value that the encoder may wait on, else it would not wake.
    ahead_bytes_ = 0;
    ahead_bytes_.notify_one();
}

} // namespace netbuild::sqlite
