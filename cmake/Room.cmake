# SPDX-License-Identifier: Apache-2.0
# A room is a static library with its own include folder; its tests stand beside its code.

# netbuild_room(NAME [DEPENDS room…] [LIBRARIES target…] [SERVERS])
# Sources are all *.cpp of the folder, without *_test.cpp. Headers are include/NAME/*.hpp, and
# others include them as "NAME/x.hpp". SERVERS: it speaks to a server, so its own tests are left out where those
# with servers are.
function(netbuild_room name)
    cmake_parse_arguments(ROOM "SERVERS" "" "DEPENDS;LIBRARIES" ${ARGN})
    file(GLOB sources CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/*.cpp")
    list(FILTER sources EXCLUDE REGEX "_test\\.cpp$")
    file(GLOB tests CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/*_test.cpp")
    set(target netbuild_${name})
    list(TRANSFORM ROOM_DEPENDS PREPEND netbuild_)
    if(sources)
        add_library(${target} STATIC ${sources})
        target_include_directories(${target} PUBLIC "${CMAKE_CURRENT_SOURCE_DIR}/include"
                                   PRIVATE "${CMAKE_CURRENT_SOURCE_DIR}")
        target_link_libraries(${target} PUBLIC ${ROOM_DEPENDS} netbuild_third_party
                              PRIVATE ${ROOM_LIBRARIES})
        target_precompile_headers(${target} REUSE_FROM netbuild_program_pch)
    else()
        add_library(${target} INTERFACE)
        target_include_directories(${target} INTERFACE "${CMAKE_CURRENT_SOURCE_DIR}/include")
        target_link_libraries(${target} INTERFACE ${ROOM_DEPENDS} netbuild_third_party)
    endif()
    if(tests AND (NETBUILD_SERVER_TESTS OR NOT ROOM_SERVERS))
        netbuild_test(${name}_test LABEL unit SOURCES ${tests} ROOMS ${name}
                      LIBRARIES ${ROOM_LIBRARIES})
    endif()
endfunction()

# netbuild_test(NAME LABEL unit|contract|golden|… SOURCES file… ROOMS room… [LIBRARIES target…]
#               [TIMEOUT_S seconds] [SERVERS])
# Every TEST() becomes a ctest of its own, named SUITE.sentence. With SERVERS the stack's servers run
# (tests/CMakeLists.txt starts them), at ports that count from NETBUILD_TEST_PORT_BASE.
include(GoogleTest)
option(NETBUILD_SERVER_TESTS "tests with SERVERS too" ON)
add_custom_target(netbuild_tests COMMENT "every test program")
# Those of what runs beside other threads, or is called by them: ./dev tsan
add_custom_target(netbuild_tsan_tests COMMENT "the test programs of ./dev tsan")
set(NETBUILD_TSAN_TESTS runtime_test realtime_protocol_test gateway_test cluster_adapter_test cluster_bus_test
                        http_server_test)
set(NETBUILD_TEST_PORT_BASE 26400 CACHE STRING "the servers of the tests listen from here on")
function(netbuild_test name)
    cmake_parse_arguments(TEST "SERVERS" "LABEL;TIMEOUT_S" "SOURCES;ROOMS;LIBRARIES" ${ARGN})
    if(NOT TEST_TIMEOUT_S)
        set(TEST_TIMEOUT_S 60)
    endif()
    list(TRANSFORM TEST_ROOMS PREPEND netbuild_)
    add_executable(${name} ${TEST_SOURCES})
    target_include_directories(${name} PRIVATE "${CMAKE_CURRENT_SOURCE_DIR}" ${RAPIDCHECK_INCLUDE})
    target_link_libraries(${name} PRIVATE ${TEST_ROOMS} ${TEST_LIBRARIES} GTest::gtest_main
                                          ${RAPIDCHECK_LIBRARY})
    target_compile_options(${name} PRIVATE ${NETBUILD_TEST_OPTIONS})
    target_precompile_headers(${name} REUSE_FROM netbuild_test_pch)
    if(TEST_SERVERS AND NOT NETBUILD_SERVER_TESTS)
        return()
    endif()
    add_dependencies(netbuild_tests ${name})
    set(labels ${TEST_LABEL})
    if(name IN_LIST NETBUILD_TSAN_TESTS)
        add_dependencies(netbuild_tsan_tests ${name})
        list(APPEND labels tsan)
        if("thread" IN_LIST NETBUILD_SANITIZE)
            math(EXPR TEST_TIMEOUT_S "5 * ${TEST_TIMEOUT_S}")
        endif()
    endif()
    list(JOIN labels "\\;" labels)
    set(properties LABELS ${labels} TIMEOUT ${TEST_TIMEOUT_S})
    if(TEST_SERVERS)
        list(APPEND properties FIXTURES_REQUIRED servers ENVIRONMENT
             "NETBUILD_TEST_PORT_BASE=${NETBUILD_TEST_PORT_BASE}" ENVIRONMENT_MODIFICATION
             "NETBUILD_TEST_STACK=set:${PROJECT_BINARY_DIR}/stack")
    endif()
    gtest_discover_tests(${name} DISCOVERY_MODE PRE_TEST DISCOVERY_TIMEOUT 60
                         PROPERTIES ${properties})
endfunction()
