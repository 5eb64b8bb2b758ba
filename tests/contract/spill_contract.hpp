// SPDX-License-Identifier: Apache-2.0
#pragma once
// The contract of ports/spill.hpp, run on every adapter: a type with `SpillArea& area()`.
#include <gtest/gtest.h>

#include "ports/spill.hpp"
#include "support/run.hpp"

namespace netbuild::test {

template <class Adapter>
class SpillContract : public testing::Test {
protected:
    asio::io_context context;
    Adapter adapter;
};
TYPED_TEST_SUITE_P(SpillContract);

TYPED_TEST_P(SpillContract, gives_back_what_was_appended_from_any_place) {
    auto file = must(this->context, this->adapter.area().create());
    std::string all;
    for (int i = 0; i < 200; ++i) {
        const std::string piece(static_cast<std::size_t>(i * 37 % 5000), static_cast<char>(i));
        must(this->context, file->append(piece));
        all += piece;
    }
    EXPECT_EQ(must(this->context, file->read(0, all.size())), all);
    for (std::size_t at = 0; at + 777 < all.size(); at += 10'007)
        EXPECT_EQ(must(this->context, file->read(at, 777)), all.substr(at, 777));
    EXPECT_EQ(must(this->context, file->read(all.size(), 0)), "");
}

TYPED_TEST_P(SpillContract, files_know_nothing_of_each_other) {
    auto one = must(this->context, this->adapter.area().create());
    auto other = must(this->context, this->adapter.area().create());
    must(this->context, one->append("one"));
    must(this->context, other->append("other"));
    one.reset();
    EXPECT_EQ(must(this->context, other->read(0, 5)), "other");
}

TYPED_TEST_P(SpillContract, a_read_past_the_end_is_an_error) {
    auto file = must(this->context, this->adapter.area().create());
    must(this->context, file->append("abc"));
    EXPECT_EQ(run(this->context, file->read(1, 3)).error().code(), ErrorCode::unavailable);
}

REGISTER_TYPED_TEST_SUITE_P(SpillContract, gives_back_what_was_appended_from_any_place,
                            files_know_nothing_of_each_other, a_read_past_the_end_is_an_error);

} // namespace netbuild::test
