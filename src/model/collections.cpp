// SPDX-License-Identifier: Apache-2.0
#include "model/collections.hpp"

namespace netbuild {

std::string escape_key(std::string_view name) {
    std::string key;
    key.reserve(name.size());
    for (const char c : name) {
        switch (c) {
        case '%':
            key += "%25";
            break;
        case '.':
            key += "%2E";
            break;
        case '$':
            key += "%24";
            break;
        default:
            key += c;
        }
    }
    return key;
}

std::string unescape_key(std::string_view key) {
    std::string name;
    name.reserve(key.size());
    for (std::size_t i = 0; i < key.size(); ++i) {
        const auto code = key.substr(i, 3);
        if (code == "%25" || code == "%2E" || code == "%24") {
            name += code == "%25" ? '%' : code == "%2E" ? '.' : '$';
            i += 2;
        } else {
            name += key[i];
        }
    }
    return name;
}

void unescape_keys(Value& value) {
    if (auto* array = value.get_if<Array>()) {
        for (Value& element : *array)
            unescape_keys(element);
    } else if (auto* object = value.get_if<Object>()) {
        for (auto& entry : *object) {
            if (entry.key.find('%') != std::string::npos) entry.key = unescape_key(entry.key);
            unescape_keys(entry.value);
        }
    }
}

} // namespace netbuild
