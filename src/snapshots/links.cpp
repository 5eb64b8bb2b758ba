// SPDX-License-Identifier: Apache-2.0
#include "snapshots/links.hpp"

#include "wire/canonical_json.hpp"
#include "wire/sha256.hpp"

namespace netbuild::snapshots {

std::string Link::hash() const {
    return sha256_hex(canonical_json(Object{{"id", id},
                                            {"sequence", sequence},
                                            {"chain", chain},
                                            {"number", number},
                                            {"previousHash", previous_hash},
                                            {"previousInAll", previous_in_all},
                                            {"contentHash", content_hash}}));
}

Link link_of(const Value& record) {
    const auto text = [&](std::string_view key) {
        const Value* value = record.at_path(key);
        return std::string(value ? value->string_or() : std::string_view{});
    };
    const auto integer = [&](std::string_view key) {
        const Value* value = record.at_path(key);
        return value ? value->integer_or() : 0;
    };
    return {.id = text("_id"),
            .sequence = integer("sequence"),
            .chain = text("chain"),
            .number = integer("number"),
            .previous_hash = text("previousHash"),
            .previous_in_all = text("previousInAll"),
            .content_hash = text("contentHash")};
}

} // namespace netbuild::snapshots
