// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/error.hpp"
#include "http/server.hpp"

namespace netbuild::http {

/// RFC 9457 problem+json with our stable `code`; for a bad parameter also its name as `field`.
/// What is internal keeps its particulars for the log.
[[nodiscard]] Response problem(const Error& error);

} // namespace netbuild::http
