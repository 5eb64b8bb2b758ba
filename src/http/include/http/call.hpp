// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "base/position.hpp"
#include "http/access.hpp"
#include "http/server.hpp"
#include "ports/collection.hpp"

namespace netbuild::http {

struct Reply {
    int status = 200;
    Value body;
    std::vector<std::pair<std::string, std::string>> headers = {};
    /// Becomes X-NetBuild-Position.
    std::optional<Position> position = {};
    /// The whole answer where it is no JSON of `body`.
    std::string text = {};
};

/// A request whose route and caller are known.
class Call {
public:
    Call(Request asked, const Rule& ruled, Caller known)
        : request(std::move(asked)), rule(ruled), caller(std::move(known)) {}

    Request request;
    const Rule& rule;
    Caller caller;
    /// The segments that the rule names, decoded.
    std::map<std::string, std::string, std::less<>> path;

    [[nodiscard]] const std::string& segment(std::string_view name) const {
        return path.find(name)->second;
    }
    /// Empty: there is none of that name.
    [[nodiscard]] std::string_view parameter(std::string_view name) const;
    /// `limit`, 50 if it is not there, at most 500.
    [[nodiscard]] result<std::size_t> limit() const;
    /// invalid_argument for a parameter that is none of these.
    [[nodiscard]] result<void> only(std::initializer_list<std::string_view> parameters) const;
    /// The version in If-Match, "7" with its quotes; nullopt: the header is not there.
    [[nodiscard]] result<std::optional<std::int64_t>> if_match() const;
    /// The JSON body.
    [[nodiscard]] result<Value> json() const;
    /// One that is empty is an empty object.
    [[nodiscard]] result<Value> json_or_empty() const;
    /// The JSON body by its declaration; errors name the field.
    [[nodiscard]] result<Object> body(std::span<const Field> fields) const;

    /// May the caller do this in the domain of `what` ("domain acme")? Whoever has no role there
    /// learns nothing: not_found; too low a role is forbidden. Rules of Domain::object.
    [[nodiscard]] result<void> admit(std::string_view domain, std::string_view what);
    /// The domains that the answer may be about. Rules of Domain::list.
    [[nodiscard]] Scope scope();
    /// An answer that neither asked admit() nor scope() where the rule says so is not sent.
    [[nodiscard]] bool scoped() const noexcept { return scoped_; }

private:
    bool scoped_ = false;
};

using Endpoint = std::function<awaitable<result<Reply>>(Call&)>;

/// Says who a request comes from.
class Authenticator {
public:
    virtual ~Authenticator() = default;
    /// `authorization`: the header. unauthorized.
    virtual awaitable<result<Caller>> authenticate(std::string authorization) = 0;
};

} // namespace netbuild::http
