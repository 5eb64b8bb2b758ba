// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "ports/record_store.hpp"
#include "ports/vector_index.hpp"
#include "runtime/signal.hpp"

namespace netbuild::data {

struct EmbeddingOptions {
    /// Of all indexes in memory; the one that was not used for longest leaves.
    std::size_t memory_bytes_max = std::size_t{2} << 30;
    /// An index is saved when so much has changed, or after the interval if anything has.
    std::int64_t save_after_changes = 5000;
    Clock::duration save_interval = std::chrono::seconds(60);
    /// For tests: told before and after every commit; the process may end there.
    std::function<void(std::string_view step)> on_step = {};
};

/// The indexes in memory, which follow the records: those are the truth, a file and what is in
/// memory are made of them. Each record of the registry says how many changes its index has seen;
/// whoever asks for an index gets one that has seen at least those. One executor.
class EmbeddingCache {
public:
    EmbeddingCache(RecordStore& records, VectorIndexes& indexes, Clock& clock,
                   const asio::any_io_executor& executor, EmbeddingOptions options);
    ~EmbeddingCache();

    /// The index of a registry's record. out_of_memory: it is larger than the limit.
    awaitable<result<std::shared_ptr<VectorIndex>>> current(ValuePtr record);
    /// out_of_memory: so many vectors are more than the limit.
    [[nodiscard]] result<void> admits(const Value& record, std::int64_t count) const;
    /// Made anew from the records when it is asked for next, without its graph; then saved.
    void forget(const std::string& index);
    /// Something changed: tend() has work.
    void touched(const std::string& index);

    /// Opens every index, mends what differs, removes files that no record names.
    awaitable<result<void>> open_all();
    /// Brings graphs up and saves what is due; `all`: whatever has changed.
    awaitable<result<void>> tend(bool all);
    awaitable<result<void>> save(std::string index);
    /// open_all(), then tend() without end.
    awaitable<result<void>> run();

    /// Of records of embeddings and their registry.
    awaitable<result<void>> commit(std::vector<RecordWrite> writes);
    awaitable<result<void>> commit(RecordWrite write);

    struct Check {
        std::int64_t vectors = 0;
        std::vector<std::string> differences;
    };
    /// Compares records, registry and files; changes nothing.
    awaitable<result<Check>> check(ValuePtr record);

    [[nodiscard]] VectorState state(const std::string& index) const;
    [[nodiscard]] bool owns_folder() const noexcept { return owned_; }
    awaitable<result<void>> own_folder();

private:
    struct Handle;
    class Turn;
    struct Loaded {
        std::shared_ptr<VectorIndex> index;
        Check check;
    };
    std::shared_ptr<Handle> handle_of(const std::string& id);
    awaitable<result<void>> add_records(VectorIndex& index, const Value& record, std::int64_t after,
                                        Check* check);
    awaitable<result<std::vector<std::int64_t>>> removed_after(std::string index,
                                                               std::int64_t sequence);
    awaitable<result<Loaded>> load(ValuePtr record);
    awaitable<result<void>> open(std::shared_ptr<Handle> handle, ValuePtr record);
    awaitable<result<void>> catch_up(std::shared_ptr<Handle> handle, ValuePtr record);
    awaitable<result<void>> tend_one(std::shared_ptr<Handle> handle, bool all);
    awaitable<result<void>> remove_orphans();
    awaitable<result<void>> finish_removal(ValuePtr record);
    result<void> make_room(const Value& record);

    RecordStore& records_;
    VectorIndexes& indexes_;
    Clock& clock_;
    asio::any_io_executor executor_;
    EmbeddingOptions options_;
    std::map<std::string, std::shared_ptr<Handle>> handles_;
    Signal work_;
    bool owned_ = false;
};

} // namespace netbuild::data
