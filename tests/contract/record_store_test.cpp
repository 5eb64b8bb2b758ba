// SPDX-License-Identifier: Apache-2.0
#include "record_store_contract.hpp"

#include <fstream>

#include "sqlite/sqlite_records.hpp"
#include "support/temporary_folder.hpp"

namespace netbuild::test {
namespace {

struct Sqlite {
    explicit Sqlite(asio::io_context&) {}
    RecordStore& store() { return store_; }
    TemporaryFolder folder_;
    SqliteRecords store_{{.path = folder_.file("records.sqlite")}};
};
INSTANTIATE_TYPED_TEST_SUITE_P(Sqlite, RecordStoreContract, Sqlite);

constexpr Field note_fields[] = {{.name = "owner", .required = true},
                                 {.name = "text", .size_max = 64 * 1024}};
constexpr RecordIndex note_indexes[] = {{.fields = {"owner"}, .reason = "an owner's notes"}};
constexpr Collection notes{
    .name = "notes", .holds = "a note", .fields = note_fields, .indexes = note_indexes};

std::size_t times_in(const std::string& path, std::string_view needle) {
    std::ifstream file(path, std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(file), {}};
    std::size_t count = 0;
    for (auto at = bytes.find(needle); at != std::string::npos; at = bytes.find(needle, at + 1))
        ++count;
    return count;
}

TEST(SqliteRemains, of_what_was_removed_and_replaced_no_byte_is_left_in_the_files) {
    constexpr std::string_view secret = "ada.lovelace@example.org";
    const TemporaryFolder folder;
    const std::string path = folder.file("records.sqlite");
    asio::io_context context;
    SqliteRecords records({.path = path}), other_process({.path = path});
    static constexpr Collection all[] = {notes};
    for (auto& change : must(context, records.schema_changes(all)))
        must(context, records.apply(change, {}));
    const auto left = [&] { return times_in(path, secret) + times_in(path + "-wal", secret); };
    const auto body = [](std::string owner, std::size_t size) {
        return Object{{"owner", owner}, {"text", owner + std::string(size, 'x') + owner}};
    };
    // Small and large ones, so that pages are split, freed and chained.
    for (int i = 0; i < 200; ++i)
        must(context, records.commit(RecordWrite::insert(
                          notes, "n" + std::to_string(i),
                          body(i % 2 ? std::string(secret) : "bob",
                               i % 7 ? static_cast<std::size_t>(i * 13 % 900) : 20'000))));
    EXPECT_GT(left(), 200u);
    for (int i = 1; i < 200; i += 2) {
        const std::string id = "n" + std::to_string(i);
        must(context, records.commit(i % 3 ? RecordWrite::erase(notes, id, 1)
                                           : RecordWrite::replace(notes, id, 1, body("carol", 9))));
    }
    // A reader of another process has looked, and is done.
    EXPECT_EQ(must(context, other_process.get(notes, {"n0"})).size(), 1u);
    EXPECT_EQ(must(context, records.forget_removed()), RecordStore::Remains::none);
    EXPECT_EQ(left(), 0u);
    EXPECT_TRUE(must(context, other_process.get(notes, {"n0"}))[0]);
    EXPECT_EQ(must(context, other_process.get(notes, {"n3"}))[0]->at_path("owner")->string_or(),
              "carol");
}

} // namespace
} // namespace netbuild::test
