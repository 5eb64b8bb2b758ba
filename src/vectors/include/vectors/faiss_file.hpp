// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <functional>
#include <string>
#include <string_view>

#include "ports/vector_index.hpp"

namespace faiss {
struct Index;
}

namespace netbuild::vectors {

/// Told before each step of a file's way to its name; a test may end the process there.
using OnStep = std::function<void(std::string_view step)>;

/// SHA-256 of a whole file, in hex. not_found, unavailable.
[[nodiscard]] result<std::string> checksum_of(const std::string& path);

/// Writes to a temporary name, syncs it, gives it its name and syncs the folder: whoever finds the
/// name finds all of it. The checksum. disk_full, unavailable.
[[nodiscard]] result<std::string> write_faiss(const faiss::Index& index, const std::string& path);
/// The second half, for a file that something else wrote to `path`.tmp.
[[nodiscard]] result<void> settle_file(const std::string& path, const OnStep& on_step);

/// IndexFlat, IndexIDMap and IndexIDMap2 over it, in the format of FAISS 1.7 (impl/index_write.cpp
/// there). The head is checked against the file's size before FAISS reads anything: it trusts what
/// it reads. unsupported: another kind of index; corrupt; payload_too_large.
[[nodiscard]] result<ForeignVectors> read_faiss(const std::string& path, std::size_t bytes_max);

inline constexpr std::size_t dimension_max = 4096;

} // namespace netbuild::vectors
