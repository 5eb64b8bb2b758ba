// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>

namespace netbuild::test {

/// A new folder that goes with its owner.
class TemporaryFolder {
public:
    TemporaryFolder() {
        std::string made =
            (std::filesystem::temp_directory_path() / "netbuild-test-XXXXXX").string();
        if (!mkdtemp(made.data())) throw std::runtime_error("no temporary folder");
        path_ = made;
    }
    ~TemporaryFolder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    TemporaryFolder(const TemporaryFolder&) = delete;
    [[nodiscard]] std::string file(const std::string& name) const { return path_ / name; }

private:
    std::filesystem::path path_;
};

} // namespace netbuild::test
