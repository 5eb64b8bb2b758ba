// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>

#include "ports/spill.hpp"

namespace netbuild {

/// Spill files in memory, for tests: they own the size of the disk.
class MemorySpill final : public SpillArea {
public:
    awaitable<result<std::unique_ptr<SpillFile>>> create() override;

    /// Bytes that all files together may hold.
    void set_bytes_max(std::size_t bytes_max) { disk_->bytes_max = bytes_max; }
    [[nodiscard]] std::size_t bytes() const { return disk_->bytes; }
    /// Bytes that were ever written.
    [[nodiscard]] std::size_t written_bytes() const { return disk_->written_bytes; }

private:
    struct Disk {
        std::size_t bytes_max = SIZE_MAX;
        std::size_t bytes = 0;
        std::size_t written_bytes = 0;
    };
    class File;
    std::shared_ptr<Disk> disk_ = std::make_shared<Disk>();
};

} // namespace netbuild
