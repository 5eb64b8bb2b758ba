// SPDX-License-Identifier: Apache-2.0
#include "order_values.hpp"

#include <array>

#include <fmt/format.h>

namespace netbuild::simulator {
namespace {

constexpr std::array<std::string_view, 8> tenants = {
    "acme",           "bergmann-logistik", "cedar-foods", "dubois-freres",
    "eastside-books", "fjord-outdoor",     "greenhaus",   "harbor-supply"};
constexpr std::array<std::string_view, 6> reviewers = {"mary",  "john",   "kim",
                                                       "amira", "tomasz", "lena"};
constexpr std::array<std::string_view, 4> packers = {"otto", "priya", "samuel", "zoe"};
constexpr std::array<std::string_view, 12> first_names = {"Aisha", "Björn", "Chloé",     "Dmitri",
                                                          "Elena", "Farid", "Grace",     "Hiro",
                                                          "Inês",  "Jonas", "Katarzyna", "Liam"};
constexpr std::array<std::string_view, 12> last_names = {
    "Almeida", "Bauer", "Castillo", "Dvořák", "Eriksen",  "Fischer",
    "García",  "Huber", "Ito",      "Jansen", "Kowalska", "O'Neill"};
constexpr std::array<std::string_view, 8> cities = {"Berlin", "Lyon",   "Porto",  "Kraków",
                                                    "Oslo",   "Leiden", "Zürich", "Turin"};
constexpr std::array<std::string_view, 6> streets = {
    "Hauptstraße", "Rue de la Paix", "Rua Augusta", "Market Street", "Kirkegata", "Via Roma"};
constexpr std::array<std::string_view, 4> reasons = {"withdrawn by the customer", "out of stock",
                                                     "duplicate order", "payment refused"};

template <class List>
std::string_view pick(Random& random, const List& list) {
    return list[random.below(list.size())];
}

// The shortest text that reads back as the same number, as PostgreSQL prints a double.
std::string double_text(double value) { return fmt::format("{}", value); }

} // namespace

VariableValue string_value(std::string_view text) {
    return {.type = "string", .text = std::string(text)};
}
VariableValue integer_value(std::int32_t value) {
    const std::string text = std::to_string(value);
    return {.type = "integer", .long_ = text, .text = text};
}
VariableValue long_value(std::int64_t value) {
    const std::string text = std::to_string(value);
    return {.type = "long", .long_ = text, .text = text};
}
VariableValue short_value(std::int16_t value) {
    // Camunda's text_ of a Short is the value object's toString().
    return {.type = "short",
            .long_ = std::to_string(value),
            .text = fmt::format("Value '{}' of type 'PrimitiveValueType[short]', isTransient=false",
                                value)};
}
VariableValue double_value(double value) {
    return {.type = "double", .double_ = double_text(value)};
}
VariableValue boolean_value(bool value) { return {.type = "boolean", .long_ = value ? "1" : "0"}; }
VariableValue date_value(std::int64_t utc_ms) {
    return {.type = "date", .long_ = std::to_string(utc_ms)};
}
VariableValue null_value() { return {.type = "null"}; }
VariableValue json_value(std::string text) { return {.type = "json", .bytes = std::move(text)}; }
VariableValue object_value(std::string json, std::string_view java_type) {
    return {.type = "spin://application/json",
            .text2 = std::string(java_type),
            .bytes = std::move(json)};
}
VariableValue bytes_value(std::string bytes) {
    return {.type = "bytes", .bytes = std::move(bytes)};
}
VariableValue file_value(std::string_view name, std::string_view mime_type, std::string bytes) {
    return {.type = "file",
            .text = std::string(name),
            .text2 = fmt::format("{}#", mime_type),
            .bytes = std::move(bytes)};
}

std::string tenant_name(unsigned index) {
    if (index < tenants.size()) return std::string(tenants[index]);
    return fmt::format("domain-{}", index + 1);
}
std::string_view draw_reviewer(Random& random) { return pick(random, reviewers); }
std::string_view draw_packer(Random& random) { return pick(random, packers); }
std::string_view draw_cancel_reason(Random& random) { return pick(random, reasons); }
double draw_amount(Random& random) {
    return static_cast<double>(500 + random.below(250'000)) / 100;
}

std::string draw_address_json(Random& random) {
    const auto street = pick(random, streets);
    const auto house = 1 + random.below(180);
    const auto postcode = 10'000 + random.below(89'999);
    const auto city = pick(random, cities);
    return fmt::format(R"({{"street":"{} {}","postcode":"{}","city":"{}","gift":{}}})", street,
                       house, postcode, city, random.below(4) == 0);
}

std::string draw_text(Random& random, std::size_t size) {
    constexpr std::string_view letters =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 .,";
    std::string text(size, ' ');
    for (char& letter : text)
        letter = letters[random.below(letters.size())];
    return text;
}

std::vector<std::pair<std::string, VariableValue>>
draw_start_variables(Random& random, std::uint64_t number, bool rich, std::int64_t now_ms) {
    std::vector<std::pair<std::string, VariableValue>> variables;
    const auto first = pick(random, first_names);
    const auto last = pick(random, last_names);
    variables.emplace_back("customer", string_value(fmt::format("{} {}", first, last)));
    variables.emplace_back("amount", double_value(draw_amount(random)));
    variables.emplace_back("items", integer_value(1 + static_cast<int>(random.below(12))));
    variables.emplace_back("orderedAt",
                           date_value(now_ms - static_cast<std::int64_t>(random.below(90'000))));
    variables.emplace_back("express", boolean_value(random.below(5) == 0));
    variables.emplace_back("address", json_value(draw_address_json(random)));
    if (random.below(4) == 0) {
        variables.emplace_back("coupon", null_value());
        variables.emplace_back(
            "orderNumber", long_value(static_cast<std::int64_t>(9'007'199'254'740'993 + number)));
    }
    if (rich) {
        variables.emplace_back("weight.kg",
                               short_value(static_cast<std::int16_t>(1 + random.below(30))));
        variables.emplace_back("note",
                               string_value(draw_text(random, 2'200 + random.below(1'600))));
        variables.emplace_back(
            "cart", object_value(R"({"sku":"A-1","count":2})", "java.util.LinkedHashMap"));
        variables.emplace_back("signature", bytes_value(std::string("\x00\x01\xff ink", 7)));
        variables.emplace_back("invoice",
                               file_value("invoice.txt", "text/plain", draw_text(random, 3'000)));
    }
    return variables;
}

} // namespace netbuild::simulator
