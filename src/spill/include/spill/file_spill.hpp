// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>
#include <string>

#include "ports/spill.hpp"

namespace netbuild {

/// Spill files in a folder, made when it is first needed. A file loses its name as soon as it is
/// open, so the disk is given back however the process ends, and no later start finds any.
class FileSpill final : public SpillArea {
public:
    explicit FileSpill(std::string folder);
    ~FileSpill() override;
    awaitable<result<std::unique_ptr<SpillFile>>> create() override;

private:
    class File;
    class Disk;
    std::shared_ptr<Disk> disk_;
};

} // namespace netbuild
