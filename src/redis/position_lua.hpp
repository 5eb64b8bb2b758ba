// SPDX-License-Identifier: Apache-2.0
#pragma once

/// For the beginning of a script: later(a, b), of Positions in their text form. They have up to 20
/// digits, which Lua's numbers cannot hold and its strings can compare. What is no Position is
/// earlier than any.
#define NETBUILD_LUA_LATER                                                                         \
    "local function less(a, b) if #a ~= #b then return #a < #b end return a < b end\n"             \
    "local function later(a, b)\n"                                                                 \
    "  local an, ao = a:match('^(%d+)-(%d+)$') local bn, bo = b:match('^(%d+)-(%d+)$')\n"          \
    "  if not an then return false end\n"                                                          \
    "  if not bn then return true end\n"                                                           \
    "  if an ~= bn then return less(bn, an) end\n"                                                 \
    "  return less(bo, ao)\n"                                                                      \
    "end\n"
