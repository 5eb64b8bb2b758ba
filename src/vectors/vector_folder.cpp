// SPDX-License-Identifier: Apache-2.0
#include "vectors/vector_folder.hpp"

#include <cerrno>
#include <cstring>
#include <filesystem>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include "runtime/blocking_pool.hpp"
#include "vectors/hnsw_graph.hpp"

// Of libgomp, whose header is another compiler's.
extern "C" void omp_set_num_threads(int count);

namespace netbuild::vectors {
namespace {

/// Vectors put into the graph under one lock: searches wait that long, some milliseconds.
constexpr std::size_t tend_step = 8;
/// Steps of one call of tend().
constexpr std::size_t tend_steps = 32;

} // namespace

class VectorFolder::Shared {
public:
    explicit Shared(Options settings)
        : options(std::move(settings)), pool({.name = "vectors", .threads = options.threads}) {
        // The threads are ours; parts of FAISS would start one a core each.
        omp_set_num_threads(1);
    }
    ~Shared() {
        if (lock >= 0) ::close(lock);
    }

    [[nodiscard]] std::string path_of(const std::string& name) const {
        return options.folder + "/" + name;
    }
    result<void> make_folder() const {
        std::error_code ec;
        std::filesystem::create_directories(options.folder, ec);
        if (!ec) return {};
        return fail(ErrorCode::unavailable, fmt::format("{}: {}", options.folder, ec.message()));
    }
    result<void> own() {
        if (lock >= 0) return {};
        TRY_VOID(make_folder());
        const std::string path = path_of("lock");
        const int descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (descriptor < 0)
            return fail(ErrorCode::unavailable, fmt::format("{}: {}", path, std::strerror(errno)));
        if (::flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
            ::close(descriptor);
            return fail(ErrorCode::unavailable,
                        options.folder + ": another process keeps its indexes there");
        }
        lock = descriptor;
        return {};
    }

    const Options options;
    int lock = -1;
    BlockingPool pool;
};

class VectorFolder::Index final : public VectorIndex {
public:
    Index(std::shared_ptr<Shared> shared, VectorSpec spec)
        : shared_(std::move(shared)), core_(spec, shared_->options.index) {}

    awaitable<result<void>> add(std::vector<VectorRow> rows) override {
        return shared_->pool.run(
            [this, rows = std::move(rows)]() mutable { return core_.add(std::move(rows)); });
    }
    awaitable<result<void>> remove(std::vector<std::int64_t> labels) override {
        return shared_->pool.run([this, labels = std::move(labels)] {
            core_.remove(labels);
            return result<void>{};
        });
    }
    awaitable<result<VectorAnswer>> search(VectorQuery query) override {
        return shared_->pool.run([this, query = std::move(query)] { return core_.search(query); });
    }
    awaitable<result<bool>> tend() override {
        return shared_->pool.run([this] {
            for (std::size_t step = 0; step < tend_steps; ++step) {
                if (!core_.tend(tend_step)) return result<bool>(false);
            }
            return result<bool>(true);
        });
    }
    [[nodiscard]] VectorState state() const override { return core_.state(); }

    awaitable<result<VectorFiles>> save(std::string stem) override {
        return shared_->pool.run([this, stem = std::move(stem)]() -> result<VectorFiles> {
            TRY_VOID(shared_->make_folder());
            return core_.save(shared_->options.folder, stem, shared_->options.on_step);
        });
    }
    awaitable<result<std::vector<std::string>>> compare(VectorFile file,
                                                        VectorCover cover) override {
        return shared_->pool.run([this, file = std::move(file), cover = std::move(cover)] {
            return compare_now(file, cover);
        });
    }
    awaitable<result<void>> take_graph(VectorFile file) override {
        return shared_->pool.run([this, file = std::move(file)]() -> result<void> {
            const std::string path = shared_->path_of(file.name);
            auto checksum = checksum_of(path);
            if (!checksum || *checksum != file.checksum)
                return fail(ErrorCode::corrupt,
                            checksum ? file.name + " has another checksum than the registry"
                                     : file.name + " cannot be read");
            TRY(auto graph, HnswGraph::load(path, core_.spec(),
                                            {.links = core_.options().links,
                                             .effort = core_.options().build_effort}));
            core_.take_graph(std::move(graph));
            return {};
        });
    }

private:
    result<std::vector<std::string>> compare_now(const VectorFile& file,
                                                 const VectorCover& cover) const {
        const std::string path = shared_->path_of(file.name);
        std::vector<std::string> differences;
        const auto checksum = checksum_of(path);
        if (!checksum) {
            differences.push_back(file.name + " cannot be read");
            return differences;
        }
        if (*checksum != file.checksum)
            differences.push_back(file.name + " has another checksum than the registry");
        const auto read = read_faiss(path, SIZE_MAX);
        if (!read) {
            differences.push_back(read.error().detail());
            return differences;
        }
        for (std::string& one : core_.compare(*read, cover))
            differences.push_back(std::move(one));
        return differences;
    }

    std::shared_ptr<Shared> shared_;
    IndexCore core_;
};

VectorFolder::VectorFolder(Options options)
    : shared_(std::make_shared<Shared>(std::move(options))) {}
VectorFolder::~VectorFolder() = default;

std::unique_ptr<VectorIndex> VectorFolder::make(VectorSpec spec) {
    return std::make_unique<Index>(shared_, spec);
}

std::size_t VectorFolder::bytes_of_one(VectorSpec spec) const {
    return IndexCore(spec, shared_->options.index).bytes_of_one();
}

awaitable<result<void>> VectorFolder::own_folder() {
    return shared_->pool.run([shared = shared_.get()] { return shared->own(); });
}

awaitable<result<std::vector<std::string>>> VectorFolder::files() {
    return shared_->pool.run([shared = shared_.get()]() -> result<std::vector<std::string>> {
        TRY_VOID(shared->make_folder());
        std::vector<std::string> names;
        std::error_code ec;
        for (const auto& entry : std::filesystem::directory_iterator(shared->options.folder, ec)) {
            const std::string name = entry.path().filename();
            if (name.starts_with("emb_")) names.push_back(name);
        }
        std::sort(names.begin(), names.end());
        return names;
    });
}

awaitable<result<void>> VectorFolder::remove_file(std::string name) {
    return shared_->pool.run([shared = shared_.get(), name = std::move(name)]() -> result<void> {
        std::error_code ec;
        std::filesystem::remove(shared->path_of(name), ec);
        if (ec) return fail(ErrorCode::unavailable, fmt::format("{}: {}", name, ec.message()));
        return {};
    });
}

awaitable<result<ForeignVectors>> VectorFolder::read_foreign(std::string path) {
    return shared_->pool.run([shared = shared_.get(), path = std::move(path)] {
        return read_faiss(path, shared->options.foreign_bytes_max);
    });
}

} // namespace netbuild::vectors
