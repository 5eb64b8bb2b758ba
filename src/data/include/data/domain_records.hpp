// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "ports/collection.hpp"

namespace netbuild::data {

inline constexpr Field domain_fields[] = {
    {.name = "name", .required = true, .size_max = 200},
    {.name = "status", .required = true, .choices = "active|suspended"},
    {.name = "settings", .type = FieldType::json, .help = "what NetBuild's services configure"},
    {.name = "updatedAt", .type = FieldType::date, .required = true, .server = true},
    {.name = "updatedBy", .required = true, .server = true},
};
inline constexpr RecordIndex domain_indexes[] = {
    {.fields = {"name"}, .reason = "the list of domains"},
};
/// `_id` is Camunda's tenant id. The record's version is the ETag.
inline constexpr Collection domains{.name = "domains",
                                    .holds = "a tenant with its configuration",
                                    .fields = domain_fields,
                                    .indexes = domain_indexes,
                                    .shared = true};

inline constexpr Field domain_version_fields[] = {
    {.name = "domainId", .required = true},
    {.name = "number", .type = FieldType::integer, .required = true},
    {.name = "content", .type = FieldType::object, .required = true, .fields = domain_fields},
};
inline constexpr RecordIndex domain_version_indexes[] = {
    {.fields = {"domainId", "number"}, .unique = true, .reason = "a domain's history in order"},
};
inline constexpr Collection domain_versions{.name = "domain_versions",
                                            .holds = "a domain's configuration as it once was",
                                            .fields = domain_version_fields,
                                            .indexes = domain_version_indexes,
                                            .append_only = true};

} // namespace netbuild::data
