// SPDX-License-Identifier: Apache-2.0
#include "spill/file_spill.hpp"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include "runtime/blocking_pool.hpp"

namespace netbuild {
namespace {

Error disk_error(std::string_view what, const std::string& folder, int number) {
    const bool full = number == ENOSPC || number == EDQUOT || number == EFBIG;
    return fail(full ? ErrorCode::disk_full : ErrorCode::unavailable,
                fmt::format("{} in the spill folder {}: {}", what, folder, std::strerror(number)));
}

} // namespace

/// The folder and the thread that waits for the disk: a write of 8 MB may meet one that is busy.
class FileSpill::Disk {
public:
    explicit Disk(std::string folder)
        : folder(std::move(folder)), pool({.name = "spill", .threads = 1}) {}

    result<int> open() const {
        std::error_code ec;
        std::filesystem::create_directories(folder, ec);
        if (ec) return disk_error("create", folder, ec.value());
        std::string name = folder + "/transaction-XXXXXX";
        const int descriptor = ::mkostemp(name.data(), O_CLOEXEC); // 0600: it holds variables
        if (descriptor < 0) return disk_error("create a file", folder, errno);
        if (::unlink(name.c_str()) != 0) {
            const int number = errno;
            ::close(descriptor);
            return disk_error("unlink", folder, number);
        }
        return descriptor;
    }

    const std::string folder;
    BlockingPool pool;
};

class FileSpill::File final : public SpillFile {
public:
    File(std::shared_ptr<Disk> disk, int descriptor)
        : disk_(std::move(disk)), descriptor_(descriptor) {}
    ~File() override { ::close(descriptor_); }

    awaitable<result<void>> append(std::string_view bytes) override {
        CO_TRY_VOID(co_await disk_->pool.run([this, bytes] { return write(bytes); }));
        size_ += bytes.size(); // only now: a failed write is written over
        co_return result<void>{};
    }
    awaitable<result<std::string>> read(std::uint64_t offset, std::size_t size) override {
        return disk_->pool.run([this, offset, size] { return read_now(offset, size); });
    }

private:
    [[nodiscard]] result<void> write(std::string_view left) const {
        std::uint64_t at = size_;
        while (!left.empty()) {
            const ssize_t count =
                ::pwrite(descriptor_, left.data(), left.size(), static_cast<off_t>(at));
            if (count < 0 && errno == EINTR) continue;
            if (count < 0) return disk_error("write", disk_->folder, errno);
            left.remove_prefix(static_cast<std::size_t>(count));
            at += static_cast<std::uint64_t>(count);
        }
        return {};
    }
    [[nodiscard]] result<std::string> read_now(std::uint64_t offset, std::size_t size) const {
        std::string bytes(size, '\0');
        std::size_t done = 0;
        while (done < size) {
            const ssize_t count = ::pread(descriptor_, bytes.data() + done, size - done,
                                          static_cast<off_t>(offset + done));
            if (count < 0 && errno == EINTR) continue;
            if (count < 0) return disk_error("read", disk_->folder, errno);
            if (count == 0) return disk_error("read past the end", disk_->folder, EIO);
            done += static_cast<std::size_t>(count);
        }
        return bytes;
    }

    std::shared_ptr<Disk> disk_;
    int descriptor_;
    std::uint64_t size_ = 0;
};

FileSpill::FileSpill(std::string folder) : disk_(std::make_shared<Disk>(std::move(folder))) {}
FileSpill::~FileSpill() = default;

awaitable<result<std::unique_ptr<SpillFile>>> FileSpill::create() {
    auto disk = disk_;
    CO_TRY(const int descriptor, co_await disk->pool.run([d = disk.get()] { return d->open(); }));
    co_return std::unique_ptr<SpillFile>(std::make_unique<File>(std::move(disk), descriptor));
}

} // namespace netbuild
