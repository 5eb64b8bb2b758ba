// SPDX-License-Identifier: Apache-2.0
#include "app/configuration.hpp"

#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

namespace netbuild::app {
namespace {

class ConfigurationFile : public testing::Test {
protected:
    ConfigurationFile()
        : path_(std::filesystem::temp_directory_path() /
                ("netbuild-" +
                 std::string(testing::UnitTest::GetInstance()->current_test_info()->name()) +
                 ".toml")) {}
    ~ConfigurationFile() override { std::filesystem::remove(path_); }
    result<Configuration> load(const std::string& text,
                               const Configuration::Environment& environment = {},
                               const Configuration::Flags& flags = {}) {
        std::ofstream(path_) << text;
        return Configuration::load(path_.string(), environment, flags);
    }
    std::string message(const std::string& text) {
        auto loaded = load(text);
        EXPECT_FALSE(loaded) << text;
        if (loaded) return {};
        EXPECT_EQ(loaded.error().code(), ErrorCode::invalid_configuration);
        return loaded.error().detail();
    }
    std::filesystem::path path_;
};

TEST_F(ConfigurationFile, flags_win_over_the_environment_over_the_file_over_defaults) {
    const auto loaded =
        load("[http]\nport = 81\nhost = \"127.0.0.2\"\n",
             {{"NETBUILD_HTTP_PORT", "82"}, {"POSTGRES_HOST", "db"}}, {{"http.port", "83"}});
    ASSERT_TRUE(loaded) << loaded.error().message();
    EXPECT_EQ(loaded->integer("http.port"), 83);
    EXPECT_EQ(loaded->text("http.host"), "127.0.0.2");
    EXPECT_EQ(loaded->at("http.host").source, path_.string() + ":3");
    EXPECT_EQ(loaded->at("postgres.host").source, "POSTGRES_HOST");
    EXPECT_EQ(loaded->text("engine.source"), "wal");
    EXPECT_EQ(loaded->duration("postgres.connect_timeout"), std::chrono::seconds(2));
}

TEST_F(ConfigurationFile, a_mistake_names_the_key_the_file_and_the_line) {
    EXPECT_NE(message("[http]\n\nprot = 81\n")
                  .find(".toml:3: there is no key http.prot; there are host, port"),
              std::string::npos);
    EXPECT_NE(message("[http]\nport = \"81\"\n").find("http.port"), std::string::npos);
    EXPECT_NE(message("[postgres]\nidle_timeout = \"30 seconds\"\n").find("must be a duration"),
              std::string::npos);
    EXPECT_NE(message("[log]\nlevel = \"loud\"\n").find("one of debug|info|warning|error"),
              std::string::npos);
    EXPECT_NE(message("[ratelimit]\npolicies = \"api ten/1s\"\n")
                  .find(".toml:2): policy api: \"ten\" is no whole number"),
              std::string::npos);
    EXPECT_NE(message("[ratelimit]\ntrusted_proxies = \"proxy\"\n")
                  .find("\"proxy\" is no address or network"),
              std::string::npos);
    EXPECT_NE(message("port = 1\n").find("stands in no section"), std::string::npos);
    EXPECT_NE(message("[http\n").find(".toml:1"), std::string::npos);
    EXPECT_NE(message("[http]\nauth = \"none\"\nhost = \"0.0.0.0\"\n").find("not loopback"),
              std::string::npos);
    EXPECT_TRUE(load("[http]\nhost = \"0.0.0.0\"\n").has_value()); // with tokens it may be any
    EXPECT_NE(message("[http]\ntls_key = \"k\"\n").find(":2): it needs http.tls_certificate too"),
              std::string::npos);
    EXPECT_NE(message("[http]\ntls_certificate = \"c\"\n").find(":2): it needs http.tls_key too"),
              std::string::npos);
    EXPECT_NE(message("[realtime]\nadapter = \"redis\"\n").find("needs redis.url (REDIS_URL)"),
              std::string::npos);
    EXPECT_NE(message("[realtime]\nadapter_key = \"a{b}\"\n").find("realtime.adapter_key"),
              std::string::npos);
    EXPECT_NE(message("[engine]\nsource = \"wal\"\n").find("POSTGRES_HOST"), std::string::npos);
}

TEST_F(ConfigurationFile, a_secret_comes_from_a_file_and_is_never_shown) {
    const auto secret = path_.string() + ".secret";
    std::ofstream(secret) << "hunter2\n";
    const auto loaded = load("[redis]\nurl = \"redis://me:hunter2@r:6379\"\n",
                             {{"POSTGRES_PASSWORD_FILE", secret}});
    std::filesystem::remove(secret);
    ASSERT_TRUE(loaded);
    EXPECT_EQ(loaded->text("postgres.password"), "hunter2");
    for (const SettingInfo& info : settings())
        EXPECT_EQ(loaded->shown(info).find("hunter2"), std::string::npos) << info.key;
}

} // namespace
} // namespace netbuild::app
