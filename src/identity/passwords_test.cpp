// SPDX-License-Identifier: Apache-2.0
#include "identity/passwords.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <gtest/gtest.h>

namespace netbuild::identity {
namespace {

class PasswordsTest : public testing::Test {
protected:
    std::string hash(std::string password) {
        std::string made;
        spawn(passwords.hash(std::move(password)),
              [&](result<std::string> done) { made = std::move(done).value(); });
        return made;
    }
    bool is_right(std::string hash, std::string password) {
        bool right = true;
        spawn(passwords.verify(std::move(hash), std::move(password)),
              [&](result<Passwords::Verdict> done) { right = done.value().right; });
        return right;
    }
    /// "$argon2id$v=19$m=…,t=…,p=…": what decides how long a comparison takes.
    static std::string parameters(const std::string& hash) {
        return hash.substr(0, hash.find('$', hash.find("m=")));
    }

    Passwords passwords{{.memory_kib = 64, .passes = 1, .threads = 1}};

private:
    template <class T, class Take>
    void spawn(awaitable<result<T>> work, Take take) {
        boost::asio::co_spawn(context_, std::move(work),
                              [&](const std::exception_ptr& thrown, result<T> done) {
                                  if (thrown) std::rethrow_exception(thrown);
                                  take(std::move(done));
                              });
        context_.restart();
        context_.run();
    }

    boost::asio::io_context context_;
};

TEST_F(PasswordsTest, a_user_who_does_not_exist_costs_what_a_wrong_password_does) {
    const std::string known = hash("the right password");
    EXPECT_TRUE(is_right(known, "the right password"));
    EXPECT_FALSE(is_right(known, "a wrong password"));
    const auto before = passwords.comparisons();
    EXPECT_FALSE(is_right("", "a wrong password"));
    EXPECT_EQ(passwords.comparisons(), before + 1);
    EXPECT_EQ(parameters(passwords.nobody()), parameters(known));
    EXPECT_NE(parameters(known), known);
}

} // namespace
} // namespace netbuild::identity
