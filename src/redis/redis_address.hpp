// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>

#include "base/result.hpp"

namespace netbuild {

/// Where a server is and who we are there.
struct RedisAddress {
    std::string host;
    std::string port;
    bool tls = false;
    std::string ca_file;
    std::string user;
    std::string password;
    int database = 0;

    [[nodiscard]] std::string text() const { return host + ":" + port; }
};
/// "redis://user:password@host:port/database"; rediss: over TLS.
[[nodiscard]] result<RedisAddress> parse_redis_url(const std::string& url, std::string ca_file);

} // namespace netbuild
