// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string_view>

#include "model/value.hpp"

namespace netbuild {

/// The forms of a process's user tasks, which only the BPMN has:
/// {task id: {formKey: string|null, camundaFormRef: {key, binding, version}|null}}, task ids
/// escaped (model/collections.hpp), tasks without a form left out. An expression (${…}) is null:
/// the engine alone can evaluate it. Text that is no XML, or has no process `key`, gives an empty
/// object. Attributes:
/// https://docs.camunda.org/manual/7.24/reference/bpmn20/custom-extensions/extension-attributes/
[[nodiscard]] Object bpmn_task_forms(std::string_view xml, std::string_view process_key);

} // namespace netbuild
