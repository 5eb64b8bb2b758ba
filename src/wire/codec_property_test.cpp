// SPDX-License-Identifier: Apache-2.0
// What holds for all values: decode after encode gives them back, in BSON and in JSON.
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "model/collections.hpp"
#include "wire/bson.hpp"
#include "wire/json.hpp"

namespace netbuild {
namespace {

std::string key_without_nul() {
    auto key = *rc::gen::arbitrary<std::string>();
    std::erase(key, '\0');
    return key;
}

/// Any value; `json`: only what plain JSON has.
Value any_value(int depth, bool json) {
    switch (*rc::gen::inRange(0, depth > 0 ? 10 : 8)) {
    case 0:
        return nullptr;
    case 1:
        return *rc::gen::arbitrary<bool>();
    case 2:
        return *rc::gen::arbitrary<std::int32_t>();
    case 3:
        return json ? Value(*rc::gen::inRange<std::int64_t>(std::int64_t{1} << 32, INT64_MAX))
                    : Value(*rc::gen::arbitrary<std::int64_t>());
    case 4: {
        // A double with a fraction: 2.0 and 2 are one number in JSON.
        const double whole = *rc::gen::inRange(-1'000'000, 1'000'000);
        return whole + 0.5;
    }
    case 5: {
        auto text = *rc::gen::container<std::string>(rc::gen::inRange<char>(' ', '~'));
        return Value(std::move(text));
    }
    case 6:
        return json ? Value(true) : Value(Date{*rc::gen::arbitrary<std::int64_t>()});
    case 7:
        return json ? Value(7) : Value(Binary{*rc::gen::arbitrary<std::string>()});
    case 8: {
        Array array;
        const int size = *rc::gen::inRange(0, 4);
        for (int i = 0; i < size; ++i)
            array.push_back(any_value(depth - 1, json));
        return array;
    }
    default: {
        Object object;
        const int size = *rc::gen::inRange(0, 4);
        for (int i = 0; i < size; ++i) {
            const std::string key = json ? "k" + std::to_string(i) + "\"\\\n" : key_without_nul();
            object.set(key, any_value(depth - 1, json));
        }
        return object;
    }
    }
}

TEST(CodecProperty, bson_gives_back_what_was_encoded) {
    EXPECT_TRUE(rc::check([] {
        const Object document{{"v", any_value(4, false)}};
        const auto decoded = decode_bson(encode_bson(document));
        RC_ASSERT(decoded.has_value());
        RC_ASSERT(*decoded == document);
    }));
}

TEST(CodecProperty, json_gives_back_what_was_written) {
    EXPECT_TRUE(rc::check([] {
        const Value value = any_value(4, true);
        const auto parsed = parse_json(to_json(value));
        RC_ASSERT(parsed.has_value());
        RC_ASSERT(*parsed == value);
    }));
}

TEST(CodecProperty, an_escaped_key_has_no_path_characters_and_comes_back) {
    EXPECT_TRUE(rc::check([](const std::string& key) {
        const std::string escaped = escape_key(key);
        RC_ASSERT(escaped.find_first_of(".$") == std::string::npos);
        RC_ASSERT(unescape_key(escaped) == key);
    }));
}

} // namespace
} // namespace netbuild
