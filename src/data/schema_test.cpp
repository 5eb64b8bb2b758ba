// SPDX-License-Identifier: Apache-2.0
#include "data/schema.hpp"

#include <set>

#include <gtest/gtest.h>

#include "data/privacy.hpp"
#include "wire/json.hpp"

namespace netbuild::data {
namespace {

void check_fields(std::span<const Field> fields, const std::string& where) {
    std::set<std::string_view> names;
    for (const Field& field : fields) {
        EXPECT_TRUE(names.insert(field.name).second) << where << field.name << " is there twice";
        EXPECT_FALSE(field.name.empty() || field.name.starts_with('_') || field.name == "version" ||
                     field.name.find_first_of(".$\"") != std::string_view::npos)
            << where << field.name;
        if (field.type == FieldType::object) {
            EXPECT_FALSE(field.fields.empty()) << where << field.name;
        }
        check_fields(field.fields, where + std::string(field.name) + ".");
    }
}

TEST(Schema, every_declaration_can_be_what_it_says) {
    std::set<std::string_view> names;
    for (const Collection& collection : own_collections()) {
        const std::string where = std::string(collection.name) + ".";
        EXPECT_TRUE(names.insert(collection.name).second) << collection.name;
        EXPECT_FALSE(collection.holds.empty()) << collection.name;
        check_fields(collection.fields, where);
        std::set<std::string> indexes;
        for (const RecordIndex& index : collection.indexes) {
            EXPECT_FALSE(index.keys().empty());
            EXPECT_FALSE(index.reason.empty()) << where << index_name(index) << " has no reason";
            EXPECT_TRUE(indexes.insert(index_name(index)).second) << where << index_name(index);
            for (const std::string_view key : index.keys()) {
                const Field* field = collection.field(key);
                ASSERT_TRUE(field) << where << key;
                EXPECT_TRUE(field->type != FieldType::object && field->type != FieldType::list &&
                            field->type != FieldType::json && field->type != FieldType::binary)
                    << where << key << " has no order";
            }
        }
        if (!collection.searched.empty()) {
            const Field* searched = collection.field(collection.searched);
            ASSERT_TRUE(searched) << where << collection.searched;
            EXPECT_EQ(searched->type, FieldType::text);
            EXPECT_TRUE(collection.append_only && collection.expires.empty() && !searched->personal)
                << where << " what is indexed once stays";
        }
        if (collection.expires.empty()) continue;
        const Field* expires = collection.field(collection.expires);
        ASSERT_TRUE(expires) << where << collection.expires;
        EXPECT_EQ(expires->type, FieldType::date);
        EXPECT_TRUE(collection.indexed(collection.expires));
    }
}

TEST(Schema, of_every_collection_is_said_what_becomes_of_a_person_in_it) {
    std::set<std::string_view> said;
    for (const PersonalData& what : personal_data()) {
        EXPECT_TRUE(said.insert(what.collection->name).second) << what.collection->name;
        EXPECT_FALSE(what.why.empty()) << what.collection->name;
        for (const std::string_view field : what.forgotten) {
            if (field.empty()) continue;
            const Field* declared = what.collection->field(field);
            ASSERT_TRUE(declared) << what.collection->name << "." << field;
            EXPECT_FALSE(declared->required);
            EXPECT_TRUE(declared->personal || !what.collection->append_only);
        }
        if (what.fate == Fate::removed) EXPECT_FALSE(what.collection->append_only);
    }
    for (const Collection& collection : own_collections())
        EXPECT_TRUE(said.contains(collection.name)) << collection.name;
    EXPECT_EQ(said.size(), own_collections().size());
}

constexpr Field address_fields[] = {{.name = "city", .required = true},
                                    {.name = "zip", .type = FieldType::integer}};
constexpr Field order_fields[] = {
    {.name = "title", .required = true, .size_max = 10},
    {.name = "state", .choices = "open|shut"},
    {.name = "due", .type = FieldType::date},
    {.name = "amount", .type = FieldType::integer},
    {.name = "ratio", .type = FieldType::number},
    {.name = "urgent", .type = FieldType::boolean},
    {.name = "address", .type = FieldType::object, .fields = address_fields},
    {.name = "tags", .type = FieldType::list, .size_max = 2},
    {.name = "stops",
     .type = FieldType::list,
     .fields = address_fields,
     .element = FieldType::object},
    {.name = "extra", .type = FieldType::json},
    {.name = "madeBy", .required = true, .server = true},
};

std::string refusal(std::string_view json) {
    const auto body = parse_json(json);
    if (!body) return body.error().detail();
    const auto read = read_body(order_fields, *body);
    return read ? "" : read.error().detail();
}

TEST(Body, is_read_by_its_declaration) {
    const auto body = parse_json(
        R"({"title":"a","due":"2026-01-02T03:04:05Z","amount":7,"ratio":2,"urgent":null,
            "tags":["x","y"],"stops":[{"city":"Ulm"}],"extra":{"any":[1,{"deep":null}]}})");
    const auto read = read_body(order_fields, *body);
    ASSERT_TRUE(read) << read.error().message();
    EXPECT_EQ(*read->find("due"), Value(Date{1767323045000}));
    EXPECT_EQ(*read->find("amount"), Value(std::int64_t{7}));
    EXPECT_FALSE(read->contains("urgent"));
    EXPECT_FALSE(read->contains("madeBy"));
}

TEST(Body, what_is_wrong_is_named) {
    EXPECT_EQ(refusal(R"([])"), "body: must be an object");
    EXPECT_EQ(refusal(R"({})"), "title: is missing");
    EXPECT_EQ(refusal(R"({"title":""})"), "title: must not be empty");
    EXPECT_EQ(refusal(R"({"title":"a","colour":1})"), "colour: there is no such field");
    EXPECT_EQ(refusal(R"({"title":"a","madeBy":"me"})"), "madeBy: there is no such field");
    EXPECT_EQ(refusal(R"({"title":{"$ne":""}})"), "title: must be a text");
    EXPECT_EQ(refusal(R"({"title":"a","$where":"1"})"), "$where: there is no such field");
    EXPECT_EQ(refusal(R"({"title":"01234567890"})"), "title: must have at most 10 bytes");
    EXPECT_EQ(refusal(R"({"title":"a\u0000b"})"), "title: must not hold NUL");
    EXPECT_EQ(refusal(R"({"title":"a","state":"ajar"})"), "state: must be one of open|shut");
    EXPECT_EQ(refusal(R"({"title":"a","amount":1.5})"), "amount: must be a whole number");
    EXPECT_EQ(refusal(R"({"title":"a","due":"soon"})"),
              "due: must be a date such as 2026-01-02T03:04:05Z");
    EXPECT_EQ(refusal(R"({"title":"a","address":{"zip":1}})"), "address.city: is missing");
    EXPECT_EQ(refusal(R"({"title":"a","tags":["a","b","c"]})"),
              "tags: must have at most 2 elements");
    EXPECT_EQ(refusal(R"({"title":"a","tags":["a",1]})"), "tags[1]: must be a text");
    EXPECT_EQ(refusal(R"({"title":"a","stops":[{"city":7}]})"), "stops[0].city: must be a text");
    EXPECT_EQ(refusal(R"({"title":"a","extra":{"a":{"$gt":1}}})"),
              "extra.a.$gt: a key must not begin with $");
    EXPECT_EQ(refusal(R"({"title":"a","extra":[{"a.b":1}]})"),
              "extra[0].a.b: a key must not hold a dot");
    EXPECT_NE(refusal(R"({"title":"a","extra":{"a\u0000":1}})"), "");
    EXPECT_NE(refusal("{\"title\":\"\xff\"}"), "");
    std::string deep =
        R"({"title":"a","extra":)" + std::string(30, '[') + std::string(30, ']') + "}";
    EXPECT_TRUE(refusal(deep).ends_with("is nested deeper than 20 levels")) << refusal(deep);
}

TEST(Utf8, overlong_forms_surrogates_and_cut_characters_are_none) {
    for (const std::string_view good : {"", "a", "ä€𝄞", "\xf4\x8f\xbf\xbf"})
        EXPECT_TRUE(is_utf8(good)) << good;
    for (const std::string_view bad :
         {"\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x82", "\x80", "\xff", "a\xc3"})
        EXPECT_FALSE(is_utf8(bad));
}

} // namespace
} // namespace netbuild::data
