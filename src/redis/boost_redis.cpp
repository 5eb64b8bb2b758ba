// SPDX-License-Identifier: Apache-2.0
// Boost.Redis is compiled here and nowhere else.
#include <boost/redis/src.hpp>
