# SPDX-License-Identifier: Apache-2.0
# Every third-party package is found here, once; docs/dependencies.md says what each is for.
find_package(Threads REQUIRED)
find_package(OpenSSL 3 REQUIRED)
find_package(Boost 1.88 CONFIG REQUIRED COMPONENTS json url)
find_package(fmt CONFIG REQUIRED)
find_package(spdlog CONFIG REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(libpq REQUIRED IMPORTED_TARGET libpq)
pkg_check_modules(libmongoc REQUIRED IMPORTED_TARGET libmongoc-1.0)
pkg_check_modules(sqlite3 REQUIRED IMPORTED_TARGET sqlite3)
pkg_check_modules(libargon2 REQUIRED IMPORTED_TARGET libargon2)
pkg_check_modules(libcurl REQUIRED IMPORTED_TARGET libcurl)
pkg_check_modules(tomlplusplus REQUIRED IMPORTED_TARGET tomlplusplus)
find_package(pugixml CONFIG REQUIRED)
find_package(CLI11 CONFIG REQUIRED)
find_package(GTest REQUIRED)
find_path(RAPIDCHECK_INCLUDE rapidcheck.h REQUIRED)
find_library(RAPIDCHECK_LIBRARY rapidcheck REQUIRED)

# FAISS is a static library that names neither BLAS, LAPACK nor OpenMP, which parts of it call that we do not.
find_library(FAISS_LIBRARY faiss REQUIRED)
find_path(HNSWLIB_INCLUDE hnswlib/hnswlib.h REQUIRED)
find_library(BLAS_LIBRARY blas REQUIRED)
find_library(LAPACK_LIBRARY lapack REQUIRED)
find_library(GOMP_LIBRARY NAMES gomp libgomp.so.1 REQUIRED)
add_library(faiss_flat INTERFACE)
target_include_directories(faiss_flat SYSTEM INTERFACE "${HNSWLIB_INCLUDE}")
target_link_libraries(faiss_flat INTERFACE "${FAISS_LIBRARY}" "${LAPACK_LIBRARY}" "${BLAS_LIBRARY}" "${GOMP_LIBRARY}")

# The programs' allocator (not the tests', nor under sanitizers): documents are many small objects that
# one thread makes and another frees.
add_library(netbuild_allocator INTERFACE)
find_library(JEMALLOC_LIBRARY jemalloc)
if(JEMALLOC_LIBRARY AND NOT NETBUILD_SANITIZE)
    target_link_libraries(netbuild_allocator INTERFACE "${JEMALLOC_LIBRARY}")
endif()

# One place for the settings that must be the same in every room.
add_library(netbuild_third_party INTERFACE)
target_link_libraries(netbuild_third_party INTERFACE Boost::headers Boost::json Boost::url fmt::fmt
                                                     Threads::Threads)
target_compile_definitions(
    netbuild_third_party
    INTERFACE BOOST_ASIO_NO_DEPRECATED BOOST_ASIO_HAS_CO_AWAIT BOOST_ASIO_DISABLE_BOOST_COROUTINE
              SPDLOG_FMT_EXTERNAL)
