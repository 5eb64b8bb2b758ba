// SPDX-License-Identifier: Apache-2.0
#include "wire/signed_cookie.hpp"

#include <vector>

#include <gtest/gtest.h>

namespace netbuild {
namespace {

TEST(SignedCookie, is_the_one_that_cookie_signature_makes) {
    // cookie-signature 1.0.7: 's:' + sign('hello', 'tobiiscool'), as in its own tests.
    EXPECT_EQ(sign_cookie("hello", "tobiiscool"),
              "s:hello.DGDUkGlIkCzPz+C0B064FNgHdEjox7ch8tOBGslZ5QI");
    const std::vector<std::string> secrets{"tobiiscool"};
    EXPECT_EQ(unsign_cookie("s:hello.DGDUkGlIkCzPz+C0B064FNgHdEjox7ch8tOBGslZ5QI", secrets),
              "hello");
}

TEST(SignedCookie, of_an_older_secret_is_taken_until_that_is_given_up) {
    const std::string cookie = sign_cookie("a.b", "old");
    EXPECT_EQ(unsign_cookie(cookie, std::vector<std::string>{"new", "old"}), "a.b");
    EXPECT_EQ(unsign_cookie(cookie, std::vector<std::string>{"new"}), std::nullopt);
    EXPECT_EQ(unsign_cookie(cookie, {}), std::nullopt);
}

TEST(SignedCookie, that_was_changed_anywhere_is_none) {
    const std::vector<std::string> secrets{"secret"};
    const std::string cookie = sign_cookie("id", "secret");
    for (std::size_t at = 0; at < cookie.size(); ++at) {
        std::string changed = cookie;
        changed[at] = changed[at] == 'x' ? 'y' : 'x';
        EXPECT_EQ(unsign_cookie(changed, secrets), std::nullopt) << changed;
        EXPECT_EQ(unsign_cookie(cookie.substr(0, at), secrets), std::nullopt);
    }
    for (const char* odd : {"", "s:", "s:.", ".", "id", "s:id", "s:id.", "s:id.="})
        EXPECT_EQ(unsign_cookie(odd, secrets), std::nullopt) << odd;
}

} // namespace
} // namespace netbuild
