// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <boost/system/result.hpp>

#include "base/error.hpp"

namespace netbuild {

[[noreturn]] void throw_error(const Error& error);

/// Found by argument-dependent lookup when `.value()` is called on a failed result: an exception
/// that names the error, for start-up code and tests; the core never relies on it.
[[noreturn]] inline void throw_exception_from_error(const Error& error,
                                                    const boost::source_location&) {
    throw_error(error);
}

/// A value or an Error. Every fallible function returns one.
template <class T>
class [[nodiscard]] result : public boost::system::result<T, Error> {
public:
    using base = boost::system::result<T, Error>;
    using base::base;
    result(base&& other) : base(std::move(other)) {}
};

/// An early failure: `return fail(ErrorCode::invalid_argument, "limit must be 1 to 500");`
[[nodiscard]] inline Error fail(ErrorCode code, std::string detail = {}) {
    return Error(code, std::move(detail));
}

} // namespace netbuild

// TRY(declaration, expression): a plain statement; returns the error of the expression, else binds.
//   TRY(auto rows, connection.query(sql));
// TRY_VOID(expression): the same without a value. CO_TRY… in coroutines.
#define NETBUILD_JOIN_(a, b) a##b
#define NETBUILD_JOIN(a, b) NETBUILD_JOIN_(a, b)
#define NETBUILD_TRY_(name, ret, declaration, ...)                                                 \
    auto name = (__VA_ARGS__);                                                                     \
    if (!name) ret std::move(name).error();                                                        \
    declaration = std::move(*name)
#define NETBUILD_TRY_VOID_(name, ret, ...)                                                         \
    do {                                                                                           \
        auto name = (__VA_ARGS__);                                                                 \
        if (!name) ret std::move(name).error();                                                    \
    } while (false)
#define TRY(declaration, ...)                                                                      \
    NETBUILD_TRY_(NETBUILD_JOIN(try_, __COUNTER__), return, declaration, __VA_ARGS__)
#define CO_TRY(declaration, ...)                                                                   \
    NETBUILD_TRY_(NETBUILD_JOIN(try_, __COUNTER__), co_return, declaration, __VA_ARGS__)
#define TRY_VOID(...) NETBUILD_TRY_VOID_(NETBUILD_JOIN(try_, __COUNTER__), return, __VA_ARGS__)
#define CO_TRY_VOID(...)                                                                           \
    NETBUILD_TRY_VOID_(NETBUILD_JOIN(try_, __COUNTER__), co_return, __VA_ARGS__)
