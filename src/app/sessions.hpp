// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "app/configuration.hpp"
#include "ports/session_store.hpp"
#include "redis/redis_client.hpp"

namespace netbuild::app {

/// As [sessions] says: in Redis, or (`redis` is null) in this process.
[[nodiscard]] std::shared_ptr<SessionStore> make_sessions(const Configuration& configuration,
                                                          RedisClient* redis, Clock& clock);
/// sessions.cookie_secret, word by word.
[[nodiscard]] std::vector<std::string> cookie_secrets(const Configuration& configuration);
/// invalid_configuration: settings of [sessions] that do not go together.
[[nodiscard]] result<void> check_sessions(const Configuration& configuration);
/// Prometheus' text format.
[[nodiscard]] std::string session_metrics(const SessionStore::Counters& counters);

} // namespace netbuild::app
