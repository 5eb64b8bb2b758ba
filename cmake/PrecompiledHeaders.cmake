# SPDX-License-Identifier: Apache-2.0
# Two precompiled headers, each made once for all targets that are compiled alike: the rooms and programs, and the tests.
foreach(kind IN ITEMS program test)
    set(source "${PROJECT_BINARY_DIR}/${kind}_pch.cpp")
    file(CONFIGURE OUTPUT "${source}" CONTENT "// Only its precompiled header is used.\n")
    add_library(netbuild_${kind}_pch OBJECT "${source}")
    target_link_libraries(netbuild_${kind}_pch PRIVATE netbuild_third_party)
    target_precompile_headers(netbuild_${kind}_pch PRIVATE "${PROJECT_SOURCE_DIR}/cmake/pch.hpp")
endforeach()
# To optimize a test's own code takes longer than to compile it, and what it calls in the rooms is optimized.
set(NETBUILD_TEST_OPTIONS -O0)
target_compile_options(netbuild_test_pch PRIVATE ${NETBUILD_TEST_OPTIONS})
target_link_libraries(netbuild_test_pch PRIVATE GTest::gtest)
target_precompile_headers(netbuild_test_pch PRIVATE <gtest/gtest.h>)
