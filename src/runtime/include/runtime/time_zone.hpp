// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "base/result.hpp"

namespace netbuild {

/// A zone of the tz database, or a fixed offset: turns wall time into UTC. Camunda writes the wall
/// time of its JVM without a zone.
class TimeZone {
public:
    /// "UTC", "+02:00", "Europe/Berlin" (read from the system's zoneinfo, TZif: RFC 8536).
    [[nodiscard]] static result<TimeZone> load(const std::string& name);
    [[nodiscard]] static TimeZone utc() { return TimeZone({}, 0); }

    /// Wall milliseconds since 1970-01-01T00:00:00 local → UTC milliseconds. A wall time that is
    /// there twice (autumn) is the earlier one, as java.time has it.
    [[nodiscard]] std::int64_t to_utc_ms(std::int64_t wall_ms) const noexcept;
    /// The way back. A wall time that a change of the clocks leaves out is never an answer.
    [[nodiscard]] std::int64_t to_wall_ms(std::int64_t utc_ms) const noexcept;

private:
    struct Transition {
        std::int64_t at_s; // UTC
        std::int32_t offset_s;
    };
    TimeZone(std::vector<Transition> transitions, std::int32_t first_offset_s)
        : transitions_(std::move(transitions)), first_offset_s_(first_offset_s) {}

    std::vector<Transition> transitions_;
    std::int32_t first_offset_s_;
};

} // namespace netbuild
