// SPDX-License-Identifier: Apache-2.0
#include "data/embedding_input.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include <fmt/format.h>

#include "data/embedding_records.hpp"
#include "wire/base64url.hpp"
#include "wire/json.hpp"

namespace netbuild::data {
namespace {

static_assert(std::endian::native == std::endian::little, "vectors are stored as they lie here");

/// Longer texts are kept, and cannot be filtered by.
constexpr std::size_t tag_text_max = 256;

Error wrong(const std::string& field, std::string_view must) {
    return fail(ErrorCode::invalid_argument, fmt::format("{}: {}", field, must));
}

result<float> finite(const Value& number, const std::string& field) {
    const auto* real = number.get_if<double>();
    if (!real && !number.is<std::int32_t>() && !number.is<std::int64_t>())
        return wrong(field, "must be a number");
    const auto value = static_cast<float>(real ? *real : static_cast<double>(number.integer_or()));
    if (!std::isfinite(value)) return wrong(field, "must be a finite 32-bit number");
    return value;
}

/// "key=value" with a value that says its type; empty: nothing to filter by.
std::string tag_of(std::string_view key, const Value& value) {
    if (const auto* text = value.get_if<std::string>()) {
        if (text->size() > tag_text_max) return {};
        return fmt::format("{}=\"{}", key, *text);
    }
    if (const auto* flag = value.get_if<bool>()) return fmt::format("{}={}", key, *flag);
    if (value.is<std::int32_t>() || value.is<std::int64_t>())
        return fmt::format("{}=#{}", key, static_cast<double>(value.integer_or()));
    if (const auto* real = value.get_if<double>()) return fmt::format("{}=#{}", key, *real);
    return {};
}

std::string source_tag(std::string_view source) { return fmt::format("source={}", source); }
std::string metadata_key(std::string_view key) { return fmt::format("metadata.{}", key); }

} // namespace

result<std::vector<float>> read_vector(const Object& members, const std::string& prefix,
                                       VectorSpec spec) {
    const Value* numbers = members.find("values");
    const Value* packed = members.find("float32");
    const std::string field = prefix + (packed ? "float32" : "values");
    if (numbers && packed) return wrong(field, "there are `values` too");
    if (!numbers && !packed) return wrong(field, "is missing");
    std::vector<float> values;
    if (packed) {
        std::string bytes;
        if (!decode_base64url(packed->string_or(), bytes)) return wrong(field, "must be base64url");
        if (bytes.size() != spec.dimension * sizeof(float))
            return wrong(field, fmt::format("must be {} numbers of 4 bytes", spec.dimension));
        if (!vector_of_bytes(bytes, spec.dimension, values))
            return wrong(field, "holds NaN or an infinity");
    } else {
        const auto& list = *numbers->get_if<Array>();
        if (list.size() != spec.dimension)
            return wrong(field, fmt::format("must be {} numbers", spec.dimension));
        values.reserve(list.size());
        for (std::size_t i = 0; i < list.size(); ++i) {
            const bool plain = list[i].is<double>() &&
                               std::isfinite(static_cast<float>(*list[i].get_if<double>()));
            if (plain) { // names are made for errors only
                values.push_back(static_cast<float>(*list[i].get_if<double>()));
                continue;
            }
            TRY(const float value, finite(list[i], fmt::format("{}[{}]", field, i)));
            values.push_back(value);
        }
    }
    if (spec.metric == Metric::cosine) {
        float square = 0;
        for (const float value : values)
            square += value * value;
        if (!(square > 0) || !std::isfinite(square))
            return wrong(field, "has no direction: its length is 0 or not finite");
    }
    return values;
}

std::string vector_bytes(const std::vector<float>& values) {
    return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)};
}

bool vector_of_bytes(const std::string& bytes, std::size_t dimension, std::vector<float>& values) {
    if (bytes.size() != dimension * sizeof(float)) return false;
    values.resize(dimension);
    std::memcpy(values.data(), bytes.data(), bytes.size());
    return std::all_of(values.begin(), values.end(), [](float one) { return std::isfinite(one); });
}

result<std::vector<std::string>> tags_of(const Object& vector, const std::string& prefix) {
    std::vector<std::string> tags = {source_tag(vector.find("source")->string_or())};
    const Value* metadata = vector.find("metadata");
    if (!metadata) return tags;
    const auto* object = metadata->get_if<Object>();
    if (!object) return wrong(prefix + "metadata", "must be an object");
    if (to_json(*metadata).size() > embedding_metadata_bytes_max)
        return wrong(prefix + "metadata",
                     fmt::format("must have at most {} bytes", embedding_metadata_bytes_max));
    const auto add = [&](std::string tag) {
        if (!tag.empty()) tags.push_back(std::move(tag));
    };
    for (const auto& member : *object) {
        const std::string key = metadata_key(member.key);
        if (const auto* list = member.value.get_if<Array>()) {
            for (const Value& one : *list)
                add(tag_of(key, one));
        } else {
            add(tag_of(key, member.value));
        }
    }
    std::sort(tags.begin() + 1, tags.end());
    tags.erase(std::unique(tags.begin(), tags.end()), tags.end());
    if (tags.size() > vector_tags_max)
        return wrong(prefix + "metadata",
                     fmt::format("must have at most {} values", vector_tags_max - 1));
    return tags;
}

result<std::vector<std::string>> tags_of_filter(const Object& filter) {
    std::vector<std::string> tags;
    if (const Value* source = filter.find("source"))
        tags.push_back(source_tag(source->string_or()));
    const Value* metadata = filter.find("metadata");
    if (!metadata) return tags;
    const auto* object = metadata->get_if<Object>();
    if (!object) return wrong("filter.metadata", "must be an object");
    for (const auto& member : *object) {
        std::string tag = tag_of(metadata_key(member.key), member.value);
        if (tag.empty())
            return wrong("filter.metadata." + member.key,
                         fmt::format("must be a number, a boolean or a text of at most {} bytes",
                                     tag_text_max));
        tags.push_back(std::move(tag));
    }
    if (tags.size() > vector_tags_max)
        return wrong("filter.metadata",
                     fmt::format("must have at most {} values", vector_tags_max));
    return tags;
}

VectorSpec spec_of(const Value& index) {
    return {static_cast<std::size_t>(index.at_path("dimension")->integer_or()),
            parse_metric(index.at_path("metric")->string_or()).value_or(Metric::l2)};
}

} // namespace netbuild::data
