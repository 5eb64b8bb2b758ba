// SPDX-License-Identifier: Apache-2.0
#include "wire/bpmn.hpp"

#include <cstring>
#include <string>

#include <pugixml.hpp>

#include "model/collections.hpp"
#include "xml_names.hpp"

namespace netbuild {
namespace {

constexpr std::string_view bpmn_namespace = "http://www.omg.org/spec/BPMN/20100524/MODEL";
constexpr std::string_view camunda_namespace = "http://camunda.org/schema/1.0/bpmn";

/// A literal; null for an expression, which the engine alone can evaluate, and for nothing.
Value literal(const pugi::xml_attribute& attribute) {
    const std::string_view text = attribute.value();
    const bool expression =
        text.find("${") != std::string_view::npos || text.find("#{") != std::string_view::npos;
    return text.empty() || expression ? Value() : Value(text);
}

Value form_reference(const pugi::xml_node& task) {
    const Value key = literal(find_attribute(task, camunda_namespace, "formRef"));
    if (key.is_null()) return {};
    const Value version = literal(find_attribute(task, camunda_namespace, "formRefVersion"));
    Value number;
    if (!version.is_null()) {
        const int parsed = find_attribute(task, camunda_namespace, "formRefVersion").as_int(-1);
        if (parsed >= 0) number = static_cast<std::int32_t>(parsed);
    }
    return Object{{"key", key},
                  {"binding", literal(find_attribute(task, camunda_namespace, "formRefBinding"))},
                  {"version", number}};
}

void collect(const pugi::xml_node& scope, Object& forms) {
    for (const pugi::xml_node& node : scope.children()) {
        if (node.type() != pugi::node_element) continue;
        if (is_element(node, bpmn_namespace, "userTask")) {
            Object form{{"formKey", literal(find_attribute(node, camunda_namespace, "formKey"))},
                        {"camundaFormRef", form_reference(node)}};
            if (!form.find("formKey")->is_null() || !form.find("camundaFormRef")->is_null()) {
                forms.set(escape_key(node.attribute("id").value()), std::move(form));
            }
        }
        collect(node, forms); // sub-processes
    }
}

} // namespace

Object bpmn_task_forms(std::string_view xml, std::string_view process_key) {
    Object forms;
    pugi::xml_document document;
    if (!document.load_buffer(xml.data(), xml.size())) return forms;
    for (const pugi::xml_node& process : document.document_element().children()) {
        if (is_element(process, bpmn_namespace, "process") &&
            process_key == process.attribute("id").value()) {
            collect(process, forms);
        }
    }
    return forms;
}

} // namespace netbuild
