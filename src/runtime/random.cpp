// SPDX-License-Identifier: Apache-2.0
#include "runtime/random.hpp"

#include <random>

namespace netbuild {

Random Random::from_system() {
    std::random_device device;
    return Random((std::uint64_t{device()} << 32) | device());
}

} // namespace netbuild
