// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "ports/collection.hpp"

namespace netbuild::data {

inline constexpr Field embedding_index_fields[] = {
    {.name = "domainId", .required = true, .size_max = 200},
    {.name = "name", .required = true, .size_max = 200, .help = "one of a domain's"},
    {.name = "model", .required = true, .size_max = 200, .help = "that makes the vectors"},
    {.name = "dimension", .type = FieldType::integer, .required = true},
    {.name = "metric", .required = true, .choices = "l2|ip|cosine"},
    {.name = "status", .required = true, .server = true, .choices = "ready|importing|removing"},
    {.name = "sequence",
     .type = FieldType::integer,
     .required = true,
     .server = true,
     .help = "counts additions and removals; the newest one's"},
    {.name = "count", .type = FieldType::integer, .required = true, .server = true},
    {.name = "file", .server = true, .help = "FAISS's IndexIDMap2 over IndexFlat"},
    {.name = "checksum", .server = true, .help = "SHA-256 of the file"},
    {.name = "fileSequence",
     .type = FieldType::integer,
     .server = true,
     .help = "the file has all up to it"},
    {.name = "graphFile", .server = true},
    {.name = "graphChecksum", .server = true},
    {.name = "createdAt", .type = FieldType::date, .required = true, .server = true},
    {.name = "createdBy", .required = true, .server = true},
};
inline constexpr RecordIndex embedding_index_indexes[] = {
    {.fields = {"domainId", "name"}, .unique = true, .reason = "a domain's indexes; one a name"},
};
inline constexpr Collection embedding_indexes{.name = "embedding_indexes",
                                              .holds = "a registered index of vectors",
                                              .fields = embedding_index_fields,
                                              .indexes = embedding_index_indexes};

inline constexpr std::size_t embedding_dimension_max = 4096;
inline constexpr std::size_t embedding_metadata_bytes_max = 4096;

inline constexpr Field embedding_fields[] = {
    {.name = "vectorId", .required = true, .size_max = 200},
    {.name = "source", .required = true, .size_max = 500, .help = "the document"},
    {.name = "chunk", .size_max = 200, .help = "which piece of it"},
    {.name = "from", .type = FieldType::integer, .help = "where the piece begins, in bytes"},
    {.name = "to", .type = FieldType::integer, .help = "and where it ends"},
    {.name = "text", .size_max = 16 * 1024, .help = "the piece itself"},
    {.name = "metadata", .type = FieldType::json, .help = "an object; scalars can be filtered by"},
    {.name = "indexId", .required = true, .server = true},
    {.name = "domainId", .required = true, .server = true},
    {.name = "label",
     .type = FieldType::integer,
     .required = true,
     .server = true,
     .help = "the index's sequence when it was added; its id in the FAISS file"},
    {.name = "vector",
     .type = FieldType::binary,
     .required = true,
     .server = true,
     .help = "32-bit floats, little-endian, as they came"},
    {.name = "createdAt", .type = FieldType::date, .required = true, .server = true},
};
inline constexpr RecordIndex embedding_record_indexes[] = {
    {.fields = {"indexId", "label"}, .unique = true, .reason = "an index is read in order"},
    {.fields = {"indexId", "source"}, .reason = "removal of a document"},
};
/// `_id` is the index's id, a slash, the vector's.
inline constexpr Collection embeddings{.name = "embeddings",
                                       .holds = "a vector and what it was made of",
                                       .fields = embedding_fields,
                                       .indexes = embedding_record_indexes,
                                       .shared = true};

inline constexpr Field embedding_removal_fields[] = {
    {.name = "indexId", .required = true},
    {.name = "sequence", .type = FieldType::integer, .required = true},
    {.name = "label", .type = FieldType::integer, .required = true, .help = "of what is gone"},
    {.name = "expiresAt", .type = FieldType::date, .required = true},
};
inline constexpr RecordIndex embedding_removal_indexes[] = {
    {.fields = {"indexId", "sequence"}, .unique = true, .reason = "what is news to an index"},
    {.fields = {"expiresAt"}, .reason = "removal of what has expired"},
};
inline constexpr Collection embedding_removals{.name = "embedding_removals",
                                               .holds = "that a vector is gone",
                                               .fields = embedding_removal_fields,
                                               .indexes = embedding_removal_indexes,
                                               .expires = "expiresAt"};

} // namespace netbuild::data
