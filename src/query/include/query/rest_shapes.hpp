// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "model/value.hpp"

namespace netbuild::query {

/// Camunda REST's ProcessInstanceDto of an execution document
/// (https://docs.camunda.org/rest/camunda-bpm-platform/7.24/#tag/Process-Instance/operation/getProcessInstance).
[[nodiscard]] Object process_state(const Object& execution);
/// Camunda REST's TaskDto of each open task of an execution document, oldest first.
[[nodiscard]] Array active_tasks(const Object& execution);

/// A document as people see it: keys of variables as they were named.
[[nodiscard]] Value shown(const Value& document);

} // namespace netbuild::query
