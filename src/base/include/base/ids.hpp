// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <compare>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

namespace netbuild {

/// A string that cannot be swapped with a string of another meaning.
template <class Tag>
class StrongId {
public:
    StrongId() = default;
    explicit StrongId(std::string text) : text_(std::move(text)) {}
    explicit StrongId(std::string_view text) : text_(text) {}
    explicit StrongId(const char* text) : text_(text) {}

    [[nodiscard]] const std::string& str() const noexcept { return text_; }
    [[nodiscard]] bool empty() const noexcept { return text_.empty(); }
    friend auto operator<=>(const StrongId&, const StrongId&) = default;

private:
    std::string text_;
};

/// Camunda's `proc_inst_id_`.
using ProcessInstanceId = StrongId<struct ProcessInstanceTag>;
/// Camunda's business key: NetBuild's execution id.
using ExecutionId = StrongId<struct ExecutionTag>;
/// Camunda's tenant id.
using DomainId = StrongId<struct DomainTag>;
using TaskId = StrongId<struct TaskTag>;
using DefinitionId = StrongId<struct DefinitionTag>;

} // namespace netbuild

template <class Tag>
struct std::hash<netbuild::StrongId<Tag>> {
    std::size_t operator()(const netbuild::StrongId<Tag>& id) const noexcept {
        return std::hash<std::string>{}(id.str());
    }
};
