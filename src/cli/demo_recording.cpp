// SPDX-License-Identifier: Apache-2.0
// The demo's recording of a real Camunda run is part of the program: it needs no file beside it.
#include "demo_recording.hpp"

asm(".section .rodata\n"
    ".global netbuild_demo_recording_begin\n"
    ".global netbuild_demo_recording_end\n"
    "netbuild_demo_recording_begin:\n"
    ".incbin \"" NETBUILD_DEMO_RECORDING "\"\n"
    "netbuild_demo_recording_end:\n"
    ".previous\n");

extern "C" const char netbuild_demo_recording_begin[];
extern "C" const char netbuild_demo_recording_end[];

namespace netbuild::cli {

std::string_view demo_recording() noexcept {
    return {netbuild_demo_recording_begin,
            static_cast<std::size_t>(netbuild_demo_recording_end - netbuild_demo_recording_begin)};
}

} // namespace netbuild::cli
