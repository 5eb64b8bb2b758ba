// SPDX-License-Identifier: Apache-2.0
#include "memory/memory_spill.hpp"

namespace netbuild {

class MemorySpill::File final : public SpillFile {
public:
    explicit File(std::shared_ptr<Disk> disk) : disk_(std::move(disk)) {}
    ~File() override { disk_->bytes -= content_.size(); }

    awaitable<result<void>> append(std::string_view bytes) override {
        if (disk_->bytes + bytes.size() > disk_->bytes_max)
            co_return fail(ErrorCode::disk_full, "spill in memory");
        content_ += bytes;
        disk_->bytes += bytes.size();
        disk_->written_bytes += bytes.size();
        co_return result<void>{};
    }
    awaitable<result<std::string>> read(std::uint64_t offset, std::size_t size) override {
        if (offset > content_.size() || size > content_.size() - offset)
            co_return fail(ErrorCode::unavailable, "a spill file ends early");
        co_return content_.substr(offset, size);
    }

private:
    std::shared_ptr<Disk> disk_;
    std::string content_;
};

awaitable<result<std::unique_ptr<SpillFile>>> MemorySpill::create() {
    co_return std::unique_ptr<SpillFile>(std::make_unique<File>(disk_));
}

} // namespace netbuild
