// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <vector>

#include "runtime/clock.hpp"

namespace netbuild {

/// A piece of a document that has to do with a question.
struct Passage {
    std::string text;
    /// What it is of, and where in it, in bytes.
    std::string document;
    std::string chunk;
    std::size_t from = 0, to = 0;
    /// Greater is nearer.
    double score = 0;
};

struct PassageQuery {
    /// Nothing of another one may come.
    std::string domain;
    std::string conversation = {};
    /// Empty: about none.
    std::string execution = {};
    /// The question, and the message that asks it.
    std::string text;
    std::string message = {};
    std::size_t limit = 8;
};

/// Finds what is worth reading for an answer.
class PassageRetriever {
public:
    virtual ~PassageRetriever() = default;
    /// Best first, equal ones by document and chunk: the same query on the same data gives the same
    /// list. unavailable.
    virtual awaitable<result<std::vector<Passage>>> retrieve(PassageQuery query) = 0;
};

} // namespace netbuild
