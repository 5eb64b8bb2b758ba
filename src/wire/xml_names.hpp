// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <string_view>

#include <pugixml.hpp>

namespace netbuild {

// pugixml knows no namespaces: these resolve prefixes (https://www.w3.org/TR/xml-names/).

inline std::string_view prefix_of(std::string_view name) {
    const auto colon = name.find(':');
    return colon == std::string_view::npos ? std::string_view{} : name.substr(0, colon);
}

inline std::string_view local_name(std::string_view name) {
    const auto colon = name.find(':');
    return colon == std::string_view::npos ? name : name.substr(colon + 1);
}

/// What `prefix` means at `node`; empty if it means nothing.
inline std::string_view namespace_of(pugi::xml_node node, std::string_view prefix) {
    const std::string declared = prefix.empty() ? "xmlns" : "xmlns:" + std::string(prefix);
    for (; node; node = node.parent()) {
        if (const auto attribute = node.attribute(declared.c_str())) return attribute.value();
    }
    return {};
}

inline bool is_element(const pugi::xml_node& node, std::string_view uri, std::string_view name) {
    return local_name(node.name()) == name && namespace_of(node, prefix_of(node.name())) == uri;
}

inline pugi::xml_attribute find_attribute(const pugi::xml_node& node, std::string_view uri,
                                          std::string_view name) {
    for (const auto& attribute : node.attributes()) {
        const std::string_view prefix = prefix_of(attribute.name());
        if (!prefix.empty() && local_name(attribute.name()) == name &&
            namespace_of(node, prefix) == uri) {
            return attribute;
        }
    }
    return {};
}

} // namespace netbuild
