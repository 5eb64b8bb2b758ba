// SPDX-License-Identifier: Apache-2.0
#include "command.hpp"

namespace netbuild::cli {

void add_config(Registry registry) {
    CLI::App* command =
        registry.add("config", "the effective configuration, with the source of each value");
    command->callback([registry] {
        registry.chosen = [registry]() -> result<void> {
            TRY(const auto configuration, load_configuration(registry.common));
            Object answer;
            std::vector<std::vector<std::string>> rows;
            for (const auto& info : app::settings()) {
                const std::string value = configuration.shown(info);
                const std::string& source = configuration.at(info.key).source;
                answer.append(std::string(info.key), Object{{"value", value}, {"source", source}});
                rows.push_back({std::string(info.key), value.empty() ? "-" : value, source,
                                std::string(info.help)});
            }
            if (registry.common.json) {
                print_json(answer);
            } else {
                print_table({"KEY", "VALUE", "SOURCE", "MEANING"}, rows);
            }
            return {};
        };
    });
}

} // namespace netbuild::cli
