// SPDX-License-Identifier: Apache-2.0
#include "runtime/secrets.hpp"

#include <cerrno>
#include <system_error>

#include <sys/random.h>

namespace netbuild {

std::string secret_bytes(std::size_t bytes) {
    std::string out(bytes, '\0');
    for (std::size_t have = 0; have < bytes;) {
        const ssize_t got = getrandom(out.data() + have, bytes - have, 0);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0)
            throw std::system_error(errno, std::generic_category(),
                                    "the system gives no random numbers");
        have += static_cast<std::size_t>(got);
    }
    return out;
}

} // namespace netbuild
