// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace netbuild::realtime {

class Socket;

struct Room {
    std::string name;
    std::vector<Socket*> members;
};

/// After which a client may come back to what it had. Those that somebody wanted are not.
[[nodiscard]] bool recoverable_reason(std::string_view reason);

} // namespace netbuild::realtime
