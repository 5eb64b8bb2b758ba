// SPDX-License-Identifier: Apache-2.0
#include "command.hpp"

namespace netbuild::cli {

void add_serve(Registry registry) {
    struct Options {
        std::string roles = "sync,api,realtime,jobs";
        std::string wait = "0s";
        std::string port;
    };
    auto options = std::make_shared<Options>();
    CLI::App* command = registry.add("serve", "run the product");
    command->add_option("--roles", options->roles, "of sync, api, realtime, jobs")
        ->capture_default_str();
    command
        ->add_option("--wait", options->wait, "for servers that are away at the start, such as 60s")
        ->capture_default_str();
    command->add_option("--port", options->port, "http.port");
    command->callback([registry, options] {
        registry.chosen = [registry, options]() -> result<void> {
            TRY(const auto roles, app::Roles::parse(options->roles));
            auto wait = app::parse_duration(options->wait);
            if (!wait)
                return fail(ErrorCode::invalid_argument, "--wait: must be a duration such as 60s");
            if (!options->port.empty()) registry.common.flags["http.port"] = options->port;
            const auto work =
                [roles, wait = *wait](app::Application& application) -> awaitable<result<void>> {
                CO_TRY_VOID(co_await application.connect(roles.sync, wait));
                CO_TRY_VOID(co_await application.prepare_records());
                co_return co_await application.serve(roles);
            };
            return run(registry.common, work);
        };
    });
}

} // namespace netbuild::cli
