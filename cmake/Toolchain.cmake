# SPDX-License-Identifier: Apache-2.0
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)

# g++ 12 miscompiles co_await with aggregate temporaries (GCC bug 107288).
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
    message(FATAL_ERROR "GCC before 13 miscompiles coroutines (bug 107288): use clang 19, "
                        "`cmake --preset release`, or GCC 13 and later")
endif()

find_program(CCACHE ccache)
if(CCACHE)
    set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE})
endif()
find_program(MOLD mold)
if(MOLD)
    add_link_options(-fuse-ld=mold)
endif()

add_compile_options(-Wall -Wextra -Wpedantic -Wnon-virtual-dtor -Wno-missing-field-initializers
                    -Werror=return-type -Werror=unused-result)
if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
    # A precompiled header and ccache agree only when the header's timestamp stays out of it.
    add_compile_options("SHELL:-Xclang -fno-pch-timestamp")
endif()

set(CMAKE_CXX_FLAGS_RELEASE "-O2 -g1 -DNDEBUG")
set(CMAKE_CXX_FLAGS_DEBUG "-O1 -g1")
set(NETBUILD_SANITIZE "" CACHE STRING "sanitizers to build with, such as address,undefined")
if(NETBUILD_SANITIZE)
    add_compile_options(-fsanitize=${NETBUILD_SANITIZE} -fno-sanitize-recover=all
                        -fno-omit-frame-pointer)
    add_link_options(-fsanitize=${NETBUILD_SANITIZE})
endif()
