// SPDX-License-Identifier: Apache-2.0
// user create, list, disable, enable, role, reset-password, export, erase; token.
#include "command.hpp"

#include <cstdio>
#include <filesystem>
#include <iostream>

#include <fcntl.h>
#include <unistd.h>

#include <fmt/format.h>

#include "data/privacy.hpp"
#include "wire/json.hpp"

namespace netbuild::cli {
namespace {

constexpr const char* actor = "shell";
constexpr std::size_t listed_max = 500;

struct Options {
    std::string user, name, domain = std::string(every_domain), role = "owner", ttl = "1h";
    std::string file;
    bool password_from_stdin = false, yes = false;
};

void print(const Object& object, bool json) {
    if (json) return print_json(object);
    for (const auto& member : object)
        fmt::print("{:<12} {}\n", member.key, cell(&member.value));
}

result<Role> role_of(const std::string& name) {
    const auto role = parse_role(name);
    if (role) return *role;
    return fail(ErrorCode::invalid_argument,
                "--role: must be owner, admin, member, viewer or service");
}

awaitable<result<void>> create(app::Application& application, Options options, bool json) {
    CO_TRY(const Role role, role_of(options.role));
    std::string password;
    if (options.password_from_stdin) std::getline(std::cin, password);
    auto& identity = application.identity();
    CO_TRY(const std::string id,
           co_await identity.create_user({options.user, options.name, password}, actor));
    CO_TRY_VOID(co_await identity.set_role(id, options.domain, role, actor));
    Object made{{"userId", id}, {"domain", options.domain}, {"role", options.role}};
    if (password.empty()) {
        CO_TRY(std::string token, co_await identity.allow_reset(id, actor));
        made.append("resetToken", std::move(token)); // sets the first password
    }
    print(made, json);
    co_return result<void>{};
}

awaitable<result<void>> list(app::Application& application, bool json) {
    Array items;
    std::vector<std::vector<std::string>> rows;
    std::string after;
    do {
        CO_TRY(const RecordPage page, co_await application.identity().users(listed_max, after));
        for (const ValuePtr& user : page.items) {
            Object item = record_body(*user);
            item.erase("passwordHash");
            item.set("userId", record_id(*user));
            rows.push_back({record_id(*user), cell(item.find("email")), cell(item.find("status")),
                            cell(item.find("createdAt"))});
            items.emplace_back(std::move(item));
        }
        after = page.next;
    } while (!after.empty());
    if (json) {
        print_json(Object{{"items", std::move(items)}});
    } else {
        print_table({"USER", "EMAIL", "STATUS", "CREATED"}, rows);
    }
    co_return result<void>{};
}

awaitable<result<void>> set_status(app::Application& application, Options options,
                                   std::string status, bool json) {
    CO_TRY(const ValuePtr user, co_await application.identity().find_user(options.user));
    CO_TRY_VOID(co_await application.identity().set_status(record_id(*user), status, actor));
    print(Object{{"userId", record_id(*user)}, {"status", status}}, json);
    co_return result<void>{};
}

awaitable<result<void>> set_role(app::Application& application, Options options, bool json) {
    std::optional<Role> role;
    if (options.role != "none") {
        CO_TRY(role, role_of(options.role));
    }
    CO_TRY(const ValuePtr user, co_await application.identity().find_user(options.user));
    CO_TRY_VOID(
        co_await application.identity().set_role(record_id(*user), options.domain, role, actor));
    print(Object{{"userId", record_id(*user)}, {"domain", options.domain}, {"role", options.role}},
          json);
    co_return result<void>{};
}

awaitable<result<void>> reset(app::Application& application, Options options, bool json) {
    CO_TRY(const ValuePtr user, co_await application.identity().find_user(options.user));
    CO_TRY(std::string token, co_await application.identity().allow_reset(record_id(*user), actor));
    print(Object{{"userId", record_id(*user)}, {"resetToken", std::move(token)}}, json);
    co_return result<void>{};
}

awaitable<result<void>> sign(app::Application& application, Options options, bool json) {
    CO_TRY(const Role role, role_of(options.role));
    const auto ttl = app::parse_duration(options.ttl);
    if (!ttl) co_return fail(ErrorCode::invalid_argument, "--ttl: must be a duration such as 1h");
    CO_TRY(std::string token, co_await application.identity().sign("shell:" + options.name,
                                                                   {{options.domain, role}}, *ttl));
    if (json) {
        print_json(Object{{"token", std::move(token)}});
    } else {
        fmt::print("{}\n", token);
    }
    co_return result<void>{};
}

data::Privacy privacy(app::Application& application) {
    return {application.records(), application.embeddings(), application.clock(),
            Random::from_system()};
}

Object numbers(const data::PersonCounts& counts) {
    Object object;
    for (const auto& [collection, count] : counts.records)
        object.append(std::string(collection), count);
    return object;
}

Error not_written(const std::string& file) {
    return fail(ErrorCode::unavailable, file + " cannot be written to");
}

/// Into a file that nobody else may read, which has its name when all is in it.
awaitable<result<void>> export_to_file(app::Application& application, std::string user,
                                       std::string file, bool json) {
    const std::string unfinished = file + ".part";
    const int descriptor = open(unfinished.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> out(
        descriptor < 0 ? nullptr : fdopen(descriptor, "wb"),
        [](std::FILE* f) { return fclose(f); });
    if (!out) co_return not_written(unfinished);
    data::Privacy persons = privacy(application);
    auto exported = co_await persons.export_person(
        user, actor, [&out, &unfinished](std::string_view text) -> result<void> {
            if (std::fwrite(text.data(), 1, text.size(), out.get()) == text.size()) return {};
            return not_written(unfinished);
        });
    if (!exported || std::fflush(out.get()) != 0 || fsync(descriptor) != 0) {
        (void)std::remove(unfinished.c_str());
        co_return exported ? not_written(unfinished) : std::move(exported).error();
    }
    if (std::rename(unfinished.c_str(), file.c_str()) != 0) co_return not_written(file);
    print(Object{{"userId", user}, {"file", file}, {"records", numbers(*exported)}}, json);
    co_return result<void>{};
}

awaitable<result<void>> export_user(app::Application& application, Options options, bool json) {
    CO_TRY(const ValuePtr user, co_await application.identity().find_user(options.user));
    if (!options.file.empty())
        co_return co_await export_to_file(application, record_id(*user), options.file, json);
    data::Privacy persons = privacy(application);
    CO_TRY_VOID(co_await persons.export_person(
        record_id(*user), actor, [](std::string_view text) -> result<void> {
            if (std::fwrite(text.data(), 1, text.size(), stdout) == text.size()) return {};
            return not_written("stdout");
        }));
    if (std::fflush(stdout) != 0) co_return not_written("stdout");
    co_return result<void>{};
}

/// Files of vectors hold what was removed until they are saved again. A server does that by itself;
/// where none runs, it is done here.
awaitable<result<void>> save_indexes(app::Application& application,
                                     const std::set<std::string>* indexes) {
    auto& embeddings = application.embeddings();
    if (indexes->empty() || !co_await embeddings.cache().own_folder()) co_return result<void>{};
    for (const std::string& index : *indexes)
        CO_TRY_VOID(co_await embeddings.mend(index));
    co_return result<void>{};
}

awaitable<result<void>> erase_user(app::Application& application, Options options, bool json) {
    CO_TRY(const ValuePtr user, co_await application.identity().find_user(options.user));
    const std::string id = record_id(*user);
    if (!options.yes) {
        fmt::print(stderr, "Nothing brings {} back. Type the id to go on: ", id);
        std::string typed;
        std::getline(std::cin, typed);
        if (typed != id)
            co_return fail(ErrorCode::invalid_argument, "nothing was erased; --yes does not ask");
    }
    data::Privacy persons = privacy(application);
    CO_TRY(const auto counts, co_await persons.erase_person(id, actor));
    CO_TRY_VOID(co_await save_indexes(application, &counts.indexes));
    CO_TRY(const auto remains, co_await application.records().forget_removed());
    constexpr std::string_view left[] = {"none", "some", "the server's"};
    print(Object{{"userId", id},
                 {"status", "erased"},
                 {"records", numbers(counts)},
                 {"recordsOfOtherPrograms", counts.others},
                 {"remainsInFiles", left[static_cast<std::size_t>(remains)]}},
          json);
    co_return result<void>{};
}

using Action = std::function<awaitable<result<void>>(app::Application&)>;

awaitable<result<void>> prepared(app::Application& application, Action action) {
    CO_TRY_VOID(co_await application.prepare_records());
    co_return co_await action(application);
}

void choose(Registry registry, CLI::App* command, std::function<Action(bool json)> action) {
    command->callback([registry, action = std::move(action)] {
        registry.chosen = [registry, action] {
            const Action chosen = action(registry.common.json);
            return run(registry.common, [chosen](app::Application& application) {
                return prepared(application, chosen);
            });
        };
    });
}

void add_domain_and_role(CLI::App* command, const std::shared_ptr<Options>& options) {
    command->add_option("--domain", options->domain, "a domain's id; * for all of them")
        ->capture_default_str();
    command->add_option("--role", options->role, "owner, admin, member, viewer or service")
        ->capture_default_str();
}

void add_token(Registry registry, const std::shared_ptr<Options>& options) {
    CLI::App* token = registry.add("token", "sign an access token");
    add_domain_and_role(token, options);
    token->add_option("--name", options->name, "who it is for, in the audit trail");
    token->add_option("--ttl", options->ttl, "how long it lives, at most 30d")
        ->capture_default_str();
    choose(registry, token, [options](bool json) -> Action {
        return [=](app::Application& a) { return sign(a, *options, json); };
    });
}

} // namespace

void add_user(Registry registry) {
    auto options = std::make_shared<Options>();
    CLI::App* group = registry.app.add_subcommand("user", "who may sign in");
    group->require_subcommand(1);
    Registry inner{*group, registry.common, registry.chosen};
    const auto with_user = [&](const char* name, const char* help) {
        CLI::App* command = inner.add(name, help);
        command->add_option("user", options->user, "e-mail address or id")->required();
        return command;
    };
    CLI::App* creates = with_user("create", "a user; without a password, with a token to set one");
    creates->add_option("--name", options->name, "of the person");
    creates->add_flag("--password-stdin", options->password_from_stdin, "a line of stdin");
    add_domain_and_role(creates, options);
    choose(inner, creates, [options](bool json) -> Action {
        return [=](app::Application& a) { return create(a, *options, json); };
    });
    choose(inner, inner.add("list", "all users"),
           [](bool json) -> Action { return [=](app::Application& a) { return list(a, json); }; });
    for (const bool enables : {false, true}) {
        CLI::App* command = enables ? with_user("enable", "may sign in again")
                                    : with_user("disable", "may sign in no more; sessions end");
        choose(inner, command, [=](bool json) -> Action {
            return [=](app::Application& a) {
                return set_status(a, *options, enables ? "active" : "disabled", json);
            };
        });
    }
    CLI::App* sets_role = with_user("role", "set the role in a domain; none takes it away");
    add_domain_and_role(sets_role, options);
    choose(inner, sets_role, [options](bool json) -> Action {
        return [=](app::Application& a) { return set_role(a, *options, json); };
    });
    CLI::App* resets = with_user("reset-password", "a token that sets a password once");
    choose(inner, resets, [options](bool json) -> Action {
        return [=](app::Application& a) { return reset(a, *options, json); };
    });
    CLI::App* exports = with_user("export", "everything about a person, as one JSON document");
    exports->add_option("--out", options->file, "a file instead of stdout");
    choose(inner, exports, [options](bool json) -> Action {
        return [=](app::Application& a) { return export_user(a, *options, json); };
    });
    CLI::App* erases =
        with_user("erase", "forget a person; what was begun is finished by another run");
    erases->add_flag("--yes", options->yes, "without asking");
    choose(inner, erases, [options](bool json) -> Action {
        return [=](app::Application& a) { return erase_user(a, *options, json); };
    });
    add_token(registry, options);
}

} // namespace netbuild::cli
