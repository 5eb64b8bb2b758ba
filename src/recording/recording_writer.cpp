// SPDX-License-Identifier: Apache-2.0
#include "recording/recording_writer.hpp"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

namespace netbuild {
namespace {

Error file_error(ErrorCode code, std::string_view what, std::string_view path) {
    return fail(code, fmt::format("{} {}: {}", what, path, std::strerror(errno)));
}

result<void> sync_folder_of(const std::string& path) {
    const auto slash = path.rfind('/');
    const std::string folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
    const int descriptor = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0) return file_error(ErrorCode::internal, "open", folder);
    const int outcome = ::fsync(descriptor);
    ::close(descriptor);
    if (outcome != 0) return file_error(ErrorCode::internal, "fsync", folder);
    return {};
}

} // namespace

result<std::unique_ptr<RecordingWriter>>
RecordingWriter::create(std::string path, const RecordingHeader& header, IfExists if_exists) {
    const bool refuse = if_exists == IfExists::refuse;
    if (refuse && ::access(path.c_str(), F_OK) == 0) {
        return fail(ErrorCode::conflict, fmt::format("{} exists", path));
    }
    const std::string part = path + ".part";
    const int flags = O_WRONLY | O_CREAT | O_CLOEXEC | (refuse ? O_EXCL : O_TRUNC);
    const int descriptor = ::open(part.c_str(), flags, 0600); // it holds the values of variables
    if (descriptor < 0) {
        return file_error(errno == EEXIST ? ErrorCode::conflict : ErrorCode::invalid_argument,
                          "create", part);
    }
    std::unique_ptr<RecordingWriter> writer(
        new RecordingWriter(std::move(path), descriptor, header));
    TRY_VOID(writer->flush());
    return writer;
}

RecordingWriter::RecordingWriter(std::string path, int descriptor, const RecordingHeader& header)
    : path_(std::move(path)), descriptor_(descriptor), encoder_(header) {}

RecordingWriter::~RecordingWriter() {
    if (descriptor_ < 0) return;
    (void)flush(); // a failure leaves the file cut, which is what it is anyway
    ::close(descriptor_);
}

result<void> RecordingWriter::on_message(std::string_view pgoutput, Lsn wal_end) {
    TRY_VOID(encoder_.append(pgoutput, wal_end));
    return encoder_.ready_bytes() > 0 ? write_out() : result<void>{};
}

result<void> RecordingWriter::flush() {
    encoder_.flush();
    return write_out();
}

result<void> RecordingWriter::write_out() {
    const std::string bytes = encoder_.take();
    std::string_view left = bytes;
    while (!left.empty()) {
        const ssize_t written = ::write(descriptor_, left.data(), left.size());
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return file_error(ErrorCode::internal, "write", path_ + ".part");
        left.remove_prefix(static_cast<std::size_t>(written));
        bytes_ += static_cast<std::uint64_t>(written);
    }
    return {};
}

result<void> RecordingWriter::finish() {
    encoder_.finish();
    TRY_VOID(write_out());
    const std::string part = path_ + ".part";
    if (::fsync(descriptor_) != 0) return file_error(ErrorCode::internal, "fsync", part);
    if (::close(std::exchange(descriptor_, -1)) != 0) {
        return file_error(ErrorCode::internal, "close", part);
    }
    if (std::rename(part.c_str(), path_.c_str()) != 0) {
        return file_error(ErrorCode::internal, "rename", part);
    }
    return sync_folder_of(path_);
}

} // namespace netbuild
