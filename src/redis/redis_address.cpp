// SPDX-License-Identifier: Apache-2.0
#include "redis_address.hpp"

#include <charconv>

#include <boost/url/parse.hpp>
#include <fmt/format.h>

namespace netbuild {

result<RedisAddress> parse_redis_url(const std::string& text, std::string ca_file) {
    const auto bad = [](std::string_view what) {
        return fail(ErrorCode::invalid_configuration, fmt::format("redis.url: {}", what));
    };
    const auto url = boost::urls::parse_uri(text);
    if (!url) return bad("is no URL");
    if (url->scheme() != "redis" && url->scheme() != "rediss")
        return bad("must begin with redis:// or rediss://");
    RedisAddress address{.host = url->host(),
                         .port = url->has_port() ? std::string(url->port()) : "6379",
                         .tls = url->scheme() == "rediss",
                         .ca_file = std::move(ca_file)};
    if (url->has_userinfo()) {
        address.user = url->user();
        address.password = url->password();
    }
    const std::string path = url->path();
    if (path.size() > 1) {
        const char* end = path.data() + path.size();
        const auto [last, ec] = std::from_chars(path.data() + 1, end, address.database);
        if (ec != std::errc{} || last != end) return bad("the path must be a database number");
    }
    return address;
}

} // namespace netbuild
