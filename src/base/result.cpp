// SPDX-License-Identifier: Apache-2.0
#include "base/result.hpp"

#include <stdexcept>

namespace netbuild {

void throw_error(const Error& error) { throw std::runtime_error(error.message()); }

} // namespace netbuild
