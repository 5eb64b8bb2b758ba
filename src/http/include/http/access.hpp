// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <span>
#include <string_view>

#include "model/caller.hpp"

namespace netbuild::http {

enum class Who : unsigned char { anyone, token };

/// How the domain of a request is found, and so what is looked at before anything is answered.
enum class Domain : unsigned char {
    /// The caller's own things, or what belongs to nobody.
    none,
    /// What belongs to the whole installation: a role in `*` is needed.
    installation,
    /// An object: its domain is passed to Call::admit() once it is read.
    object,
    /// A list: filtered by Call::scope().
    list,
};

/// Who may what: one line a route.
struct Rule {
    std::string_view method;
    /// Segments; {name} stands for any one, {name}:verb for any that ends so.
    std::string_view path;
    Who who = Who::token;
    Role least = Role::viewer;
    Domain domain = Domain::none;
};

/// The table (access.cpp), which is all there is: a route that is not in it does not exist.
[[nodiscard]] std::span<const Rule> rules() noexcept;

} // namespace netbuild::http
