// SPDX-License-Identifier: Apache-2.0
#include "contract/spill_contract.hpp"

#include <csignal>
#include <filesystem>

#include <sys/resource.h>

#include "memory/memory_spill.hpp"
#include "spill/file_spill.hpp"
#include "support/temporary_folder.hpp"

namespace netbuild::test {
namespace {

struct Memory {
    MemorySpill spill;
    SpillArea& area() { return spill; }
};
struct File {
    TemporaryFolder folder;
    FileSpill spill{folder.file("spill")};
    SpillArea& area() { return spill; }
};
using Adapters = testing::Types<Memory, File>;
INSTANTIATE_TYPED_TEST_SUITE_P(Spill, SpillContract, Adapters);

TEST(FileSpill, a_file_has_no_name_so_nothing_is_left_however_the_process_ends) {
    asio::io_context context;
    File file;
    auto open = must(context, file.spill.create());
    must(context, open->append("rows"));
    ASSERT_TRUE(std::filesystem::exists(file.folder.file("spill")));
    EXPECT_TRUE(std::filesystem::is_empty(file.folder.file("spill")));
}

/// Files of this process end at `bytes`: what is written past it fails as on a full disk.
class FileSizeLimit {
public:
    explicit FileSizeLimit(rlim_t bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
        ::getrlimit(RLIMIT_FSIZE, &before_);
        const rlimit limit{bytes, before_.rlim_max};
        ::setrlimit(RLIMIT_FSIZE, &limit);
    }
    ~FileSizeLimit() {
        ::setrlimit(RLIMIT_FSIZE, &before_);
        std::signal(SIGXFSZ, handler_);
    }
    FileSizeLimit(const FileSizeLimit&) = delete;

private:
    rlimit before_{};
    void (*handler_)(int);
};

TEST(FileSpill, a_write_without_space_is_disk_full_and_may_be_made_again) {
    asio::io_context context;
    File file;
    auto open = must(context, file.spill.create());
    must(context, open->append("before "));
    const std::string large(10'000, 'x');
    {
        const FileSizeLimit full(4096);
        const auto failed = run(context, open->append(large));
        ASSERT_FALSE(failed);
        EXPECT_EQ(failed.error().code(), ErrorCode::disk_full);
        EXPECT_TRUE(failed.error().transient());
        EXPECT_NE(failed.error().detail().find(file.folder.file("spill")), std::string::npos);
    }
    must(context, open->append(large));
    EXPECT_EQ(must(context, open->read(0, 10'007)), "before " + large);
}

TEST(FileSpill, a_folder_that_cannot_be_made_is_unavailable) {
    asio::io_context context;
    FileSpill none("/dev/null/spill");
    EXPECT_EQ(run(context, none.create()).error().code(), ErrorCode::unavailable);
}

} // namespace
} // namespace netbuild::test
