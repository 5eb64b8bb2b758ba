// SPDX-License-Identifier: Apache-2.0
#include "vectors/faiss_file.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>

#include <faiss/IndexFlat.h>
#include <faiss/IndexIDMap.h>
#include <faiss/impl/FaissException.h>
#include <faiss/impl/io.h>
#include <faiss/index_io.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/evp.h>
#include <unistd.h>

namespace netbuild::vectors {
namespace {

constexpr std::size_t chunk_bytes = 1024 * 1024;
// fourcc, int d, long ntotal, two longs that nobody reads, bool is_trained, int metric.
constexpr std::size_t head_bytes = 4 + 4 + 3 * 8 + 1 + 4;

class Sha256 {
public:
    Sha256() : context_(EVP_MD_CTX_new(), EVP_MD_CTX_free) {
        EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr);
    }
    void update(const void* bytes, std::size_t size) {
        EVP_DigestUpdate(context_.get(), bytes, size);
    }
    std::string hex() {
        std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
        unsigned size = 0;
        EVP_DigestFinal_ex(context_.get(), digest.data(), &size);
        std::string text;
        for (unsigned i = 0; i < size; ++i)
            text += fmt::format("{:02x}", digest[i]);
        return text;
    }

private:
    std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_;
};

class Descriptor {
public:
    explicit Descriptor(int number) : number_(number) {}
    ~Descriptor() {
        if (number_ >= 0) ::close(number_);
    }
    Descriptor(const Descriptor&) = delete;
    [[nodiscard]] int number() const noexcept { return number_; }

private:
    int number_;
};

Error disk_error(const std::string& path, int number) {
    const bool full = number == ENOSPC || number == EDQUOT || number == EFBIG;
    return fail(full ? ErrorCode::disk_full : ErrorCode::unavailable,
                fmt::format("{}: {}", path, std::strerror(number)));
}

/// FAISS gives up, with an exception, when fewer items are written than it has.
struct Writer final : faiss::IOWriter {
    explicit Writer(int into) : descriptor(into) {}
    size_t operator()(const void* bytes, size_t size, size_t items) override {
        const char* at = static_cast<const char*>(bytes);
        std::size_t left = size * items;
        sha.update(at, left);
        while (left > 0) {
            const ssize_t count = ::write(descriptor, at, left);
            if (count < 0 && errno == EINTR) continue;
            if (count < 0) {
                number = errno;
                return 0;
            }
            at += count;
            left -= static_cast<std::size_t>(count);
        }
        return items;
    }
    int descriptor;
    int number = 0;
    Sha256 sha;
};

result<void> sync(const std::string& path, int flags) {
    const Descriptor file(::open(path.c_str(), flags | O_CLOEXEC));
    if (file.number() < 0 || ::fsync(file.number()) != 0) return disk_error(path, errno);
    return {};
}

/// Reads numbers of a head; past the end they are 0 and `short_of` is set.
struct Head {
    explicit Head(std::string_view from) : bytes(from) {}
    template <class T>
    T take() {
        T value{};
        if (bytes.size() < sizeof(T)) {
            short_of = true;
            return value;
        }
        std::memcpy(&value, bytes.data(), sizeof(T));
        bytes.remove_prefix(sizeof(T));
        return value;
    }
    std::string_view four() {
        const std::string_view text = bytes.substr(0, 4);
        bytes.remove_prefix(text.size());
        return text;
    }
    std::string_view bytes;
    bool short_of = false;
};

struct Shape {
    std::int64_t dimension = 0, count = 0;
    int metric = 0;
};

result<Shape> take_shape(Head& head) {
    Shape shape;
    shape.dimension = head.take<std::int32_t>();
    shape.count = head.take<std::int64_t>();
    head.take<std::int64_t>();
    head.take<std::int64_t>();
    head.take<char>();
    shape.metric = head.take<std::int32_t>();
    if (head.short_of) return fail(ErrorCode::corrupt, "the head is cut");
    if (shape.metric != faiss::METRIC_L2 && shape.metric != faiss::METRIC_INNER_PRODUCT)
        return fail(ErrorCode::unsupported, "metrics other than l2 and inner product");
    if (shape.dimension < 1 || shape.dimension > static_cast<std::int64_t>(dimension_max))
        return fail(ErrorCode::unsupported,
                    fmt::format("{} dimensions; 1 to {} are", shape.dimension, dimension_max));
    return shape;
}

/// What the head says must be what the file has, to the byte.
result<void> check_head(std::string_view bytes, std::uint64_t file_bytes, std::size_t bytes_max) {
    Head head(bytes);
    std::string_view kind = head.four();
    const bool mapped = kind == "IxM2" || kind == "IxMp";
    std::optional<Shape> outer;
    if (mapped) {
        TRY(outer, take_shape(head));
        kind = head.four();
    }
    if (kind != "IxF2" && kind != "IxFI" && kind != "IxFl")
        return fail(ErrorCode::unsupported,
                    "an index that is no IndexFlat, and no IndexIDMap or IndexIDMap2 of one");
    TRY(const Shape flat, take_shape(head));
    const auto floats = head.take<std::uint64_t>();
    const std::uint64_t count_max = file_bytes / (static_cast<std::uint64_t>(flat.dimension) * 4);
    if (head.short_of || flat.count < 0 || static_cast<std::uint64_t>(flat.count) > count_max ||
        floats != static_cast<std::uint64_t>(flat.count * flat.dimension) ||
        (outer && (outer->count != flat.count || outer->dimension != flat.dimension)))
        return fail(ErrorCode::corrupt, "the head says other sizes than the file has");
    const std::uint64_t wanted =
        head_bytes + 8 + floats * 4 +
        (mapped ? head_bytes + 8 + 8 * static_cast<std::uint64_t>(flat.count) : 0);
    if (wanted != file_bytes)
        return fail(ErrorCode::corrupt,
                    fmt::format("{} bytes where the head says {}", file_bytes, wanted));
    if (floats * 4 > bytes_max)
        return fail(ErrorCode::payload_too_large,
                    fmt::format("{} bytes of vectors; at most {}", floats * 4, bytes_max));
    return {};
}

result<ForeignVectors> taken_from(faiss::Index& index) {
    ForeignVectors vectors;
    const auto* map = dynamic_cast<const faiss::IndexIDMap*>(&index);
    const auto* flat = dynamic_cast<const faiss::IndexFlat*>(map ? map->index : &index);
    if (!flat) return fail(ErrorCode::unsupported, "another kind of index");
    const auto count = static_cast<std::size_t>(flat->ntotal);
    if (map && map->id_map.size() != count)
        return fail(ErrorCode::corrupt, "not as many ids as vectors");
    vectors.spec = {static_cast<std::size_t>(flat->d),
                    flat->metric_type == faiss::METRIC_L2 ? Metric::l2 : Metric::ip};
    vectors.values.assign(flat->get_xb(), flat->get_xb() + count * vectors.spec.dimension);
    vectors.ids.reserve(count);
    for (std::size_t i = 0; i < count; ++i)
        vectors.ids.push_back(map ? map->id_map[i] : static_cast<std::int64_t>(i));
    return vectors;
}

} // namespace

result<std::string> checksum_of(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    if (!file) return fail(ErrorCode::not_found, path);
    Sha256 sha;
    std::string chunk(chunk_bytes, '\0');
    while (file) {
        file.read(chunk.data(), static_cast<std::streamsize>(chunk.size()));
        sha.update(chunk.data(), static_cast<std::size_t>(file.gcount()));
    }
    if (file.bad()) return fail(ErrorCode::unavailable, path);
    return sha.hex();
}

result<std::string> write_faiss(const faiss::Index& index, const std::string& path) {
    const std::string temporary = path + ".tmp";
    // 0600: vectors say a good deal of the text that they were made of.
    const Descriptor file(
        ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    if (file.number() < 0) return disk_error(temporary, errno);
    Writer writer(file.number());
    try {
        faiss::write_index(&index, &writer);
    } catch (const faiss::FaissException& exception) {
        if (writer.number) return disk_error(temporary, writer.number);
        return fail(ErrorCode::internal, exception.what());
    }
    return writer.sha.hex();
}

result<void> settle_file(const std::string& path, const OnStep& on_step) {
    const std::string temporary = path + ".tmp";
    const std::string folder = std::filesystem::path(path).parent_path();
    if (on_step) on_step("file written");
    TRY_VOID(sync(temporary, O_RDONLY));
    if (on_step) on_step("file synced");
    if (std::rename(temporary.c_str(), path.c_str()) != 0) return disk_error(path, errno);
    if (on_step) on_step("file named");
    return sync(folder.empty() ? "." : folder, O_RDONLY | O_DIRECTORY);
}

result<ForeignVectors> read_faiss(const std::string& path, std::size_t bytes_max) {
    std::ifstream file(path, std::ios::binary);
    std::error_code ec;
    const auto size = std::filesystem::file_size(path, ec);
    if (!file || ec) return fail(ErrorCode::not_found, path);
    std::string head(2 * head_bytes + 8, '\0');
    file.read(head.data(), static_cast<std::streamsize>(head.size()));
    head.resize(static_cast<std::size_t>(file.gcount()));
    auto checked = check_head(head, size, bytes_max);
    if (!checked) return std::move(checked).error().within(path);
    try {
        const std::unique_ptr<faiss::Index> index(faiss::read_index(path.c_str()));
        return taken_from(*index);
    } catch (const faiss::FaissException& exception) {
        return fail(ErrorCode::corrupt, fmt::format("{}: {}", path, exception.what()));
    }
}

} // namespace netbuild::vectors
