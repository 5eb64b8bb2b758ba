// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "ports/document_store.hpp"

namespace netbuild::sync {

/// A load as it is asked for in the WAL: the content of a transactional logical message with the
/// prefix `Transaction::request_prefix`. So it reaches whichever worker has the stream, at one
/// Position, and is not lost before it is done.
struct LoadRequest {
    /// Of the capture that is meant: a database may have several.
    std::string slot;
    LoadState load;
};

/// One JSON object: {"slot": "netbuild", "id": "…", "load": "all"} or
/// {…, "load": {"instances": ["…"], "definitions": false, "standaloneTasks": false}}.
[[nodiscard]] std::string to_text(const LoadRequest& request);
/// invalid_argument: no such object, or more than LoadState::scope_max instances.
[[nodiscard]] result<LoadRequest> parse_load_request(std::string_view text);

} // namespace netbuild::sync
