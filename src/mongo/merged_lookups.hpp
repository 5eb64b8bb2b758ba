// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "ports/document_store.hpp"

namespace netbuild::mongo {

/// Looks of many callers for one value each (an execution by its business key, a document by its
/// id). Alone each is a command of its own; while `running_max` are on their way, those that come
/// next wait and leave in one `$in`: a server answers it at hardly more than the cost of one. What
/// is found was in the database after the caller asked.
class MergedLookups {
public:
    static constexpr std::size_t running_max = 2;
    static constexpr std::size_t values_max = 64;

    using Documents = std::vector<ValuePtr>;
    using Find = std::function<result<Documents>(const Query&)>;

    /// One member equal to one string, in any order.
    [[nodiscard]] static bool mergeable(const Query& query);
    /// What `find` would answer to `query`. Blocks; from any thread.
    result<Documents> look_up(const Query& query, const Find& find);
    /// Callers whose look is not on its way yet.
    [[nodiscard]] std::size_t waiting() const;

private:
    struct Waiting {
        const Query& query;
        std::optional<result<Documents>> answer;
        [[nodiscard]] std::string_view value() const {
            return query.filter.all.front().value.string_or();
        }
    };
    using Share = std::vector<Waiting*>;
    /// What may go in one command: collection, path, limit.
    using Shape = std::tuple<std::string, std::string, std::size_t>;
    struct Group {
        Share waiting;
        std::size_t running = 0;
        std::condition_variable answered;
    };
    using Answers = std::vector<result<Documents>>;
    static Share take(Group& group);
    static Answers ask(const Share& share, const Find& find);
    static Answers ask_each(const Share& share, const Find& find);

    mutable std::mutex mutex_; // groups_ and all in them
    std::map<Shape, Group> groups_;
};

} // namespace netbuild::mongo
