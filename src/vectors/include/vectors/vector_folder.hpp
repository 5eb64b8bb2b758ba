// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>
#include <string>

#include "vectors/index_core.hpp"

namespace netbuild::vectors {

/// Indexes whose files are in one folder.
class VectorFolder final : public VectorIndexes {
public:
    struct Options {
        std::string folder;
        IndexOptions index = {};
        /// Searches, saves and graph building at a time.
        std::size_t threads = 2;
        /// Of vectors in a file of another program.
        std::size_t foreign_bytes_max = std::size_t{1} << 30;
        /// For tests: see write_faiss().
        OnStep on_step = {};
    };
    explicit VectorFolder(Options options);
    ~VectorFolder() override;

    std::unique_ptr<VectorIndex> make(VectorSpec spec) override;
    [[nodiscard]] std::size_t bytes_of_one(VectorSpec spec) const override;
    awaitable<result<void>> own_folder() override;
    awaitable<result<std::vector<std::string>>> files() override;
    awaitable<result<void>> remove_file(std::string name) override;
    awaitable<result<ForeignVectors>> read_foreign(std::string path) override;

private:
    class Shared;
    class Index;
    std::shared_ptr<Shared> shared_;
};

} // namespace netbuild::vectors
