# Compiler settings, packages and the four functions with which every folder declares what it holds:
#   neap_library(base SOURCES a.cc b.cc DEPS absl::status)     -> target neap_base
#   neap_binary(neapd SOURCES main.cc DEPS neap_app)           -> target and file neapd, in build/<preset>/bin
#   neap_test(core SOURCES decide_test.cc DEPS neap_core)      -> target test_core, one ctest "core"
#   neap_scaler(redis DEPS PkgConfig::hiredis)                 -> library, binary, test of scalers/redis (scalers/sdk)
include_guard(GLOBAL)

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release)
endif()
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -g1")  # asserts of the C library stay on, too
set(CMAKE_CXX_FLAGS_DEBUG "-O1 -g1 -D_GLIBCXX_ASSERTIONS")
set(NEAP_SANITIZE "" CACHE STRING "value for -fsanitize=, empty for none")

# Decisions are IEEE double in a fixed order of operations: no contraction, no fast-math: the same bits as the HPA.
add_compile_options(-ffp-contract=off -fno-fast-math)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")  # another compiler builds for its results, not for its warnings (tools/test)
  add_compile_options(-Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Wno-restrict -Werror)
endif()
if(NEAP_SANITIZE)
  add_compile_options(-fsanitize=${NEAP_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${NEAP_SANITIZE})
endif()

find_program(NEAP_CCACHE ccache)
if(NEAP_CCACHE)  # hits from another directory too: paths below the checkout's parent are made relative
  get_filename_component(neap_parent ${CMAKE_SOURCE_DIR} DIRECTORY)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_BASEDIR=${neap_parent} CCACHE_NOHASHDIR=1 ${NEAP_CCACHE})
endif()
find_program(NEAP_MOLD mold)
if(NEAP_MOLD)
  add_link_options(-fuse-ld=mold)
endif()

find_package(Threads REQUIRED)
find_package(OpenSSL REQUIRED)
find_package(ZLIB REQUIRED)
find_package(Protobuf REQUIRED)
find_package(gRPC CONFIG REQUIRED)
find_package(absl CONFIG REQUIRED)
find_package(CURL REQUIRED)
find_package(prometheus-cpp CONFIG REQUIRED)
find_package(glog REQUIRED)
find_package(yaml-cpp REQUIRED)
find_package(simdjson REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(pugixml REQUIRED)
find_package(fmt REQUIRED)
find_package(CLI11 REQUIRED)
find_package(GTest REQUIRED)
find_package(benchmark REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(hiredis REQUIRED IMPORTED_TARGET hiredis)
pkg_check_modules(httplib REQUIRED IMPORTED_TARGET cpp-httplib)
pkg_check_modules(jemalloc REQUIRED IMPORTED_TARGET jemalloc)

# What is shipped or measured uses jemalloc: a thousand simulated targets take a quarter less time than with the C
# library's malloc, and less memory is kept when much was freed. Sanitizers bring their own.
set(NEAP_MALLOC "")
if(NOT NEAP_SANITIZE)
  set(NEAP_MALLOC PkgConfig::jemalloc)
endif()

# neap_library(<name> SOURCES ... [DEPS ...]): static library neap_<name>; includes are rooted at the checkout.
function(neap_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  add_library(neap_${name} STATIC ${ARG_SOURCES})
  target_include_directories(neap_${name} PUBLIC ${CMAKE_SOURCE_DIR})
  target_link_libraries(neap_${name} PUBLIC ${ARG_DEPS})
endfunction()

function(neap_binary name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR})
  target_link_libraries(${name} PRIVATE ${ARG_DEPS} ${NEAP_MALLOC})
endfunction()

# neap_test(<name> SOURCES ... [DEPS ...] [LABELS ...]): one GoogleTest binary and one ctest of that name, run in the
# checkout's root so that tests name their data by paths like tests/golden/x.txt. Label `sanitize` means: also run in
# the asan build; `threads`: also in the tsan build; `server`: starts real servers.
function(neap_test name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS;LABELS" ${ARGN})
  add_executable(test_${name} ${ARG_SOURCES})
  target_include_directories(test_${name} PRIVATE ${CMAKE_SOURCE_DIR})
  target_link_libraries(test_${name} PRIVATE ${ARG_DEPS} GTest::gmock GTest::gtest GTest::gtest_main)
  add_test(NAME ${name} COMMAND test_${name} --gtest_output=xml:${CMAKE_BINARY_DIR}/results/${name}.xml
           WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
  set_tests_properties(${name} PROPERTIES LABELS "${ARG_LABELS}" TIMEOUT 600
    ENVIRONMENT "NEAP_BIN=${CMAKE_RUNTIME_OUTPUT_DIRECTORY};TSAN_OPTIONS=suppressions=${CMAKE_SOURCE_DIR}/tools/tsan.supp halt_on_error=1;ASAN_OPTIONS=detect_stack_use_after_return=1;UBSAN_OPTIONS=print_stacktrace=1")
endfunction()

# neap_bench(<name> ...): google-benchmark binary bench_<name>; not a test, built by the target `benchmarks`.
function(neap_bench name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  add_executable(bench_${name} EXCLUDE_FROM_ALL ${ARG_SOURCES})
  target_include_directories(bench_${name} PRIVATE ${CMAKE_SOURCE_DIR})
  target_link_libraries(bench_${name} PRIVATE ${ARG_DEPS} benchmark::benchmark benchmark::benchmark_main ${NEAP_MALLOC})
  if(NOT TARGET benchmarks)
    add_custom_target(benchmarks)
  endif()
  add_dependencies(benchmarks bench_${name})
endfunction()

# neap_scaler(<name> [DEPS ...]): called from scalers/<name>/CMakeLists.txt. Library scaler_<name> from <name>_scaler.cc
# (and every other .cc of the folder but main.cc and *_test.cc), binary neap-scaler-<name>, test scaler_<name>, and an
# entry in the bundle neap-scalers, which links every library named in the global property NEAP_SCALERS.
function(neap_scaler name)
  cmake_parse_arguments(ARG "" "" "DEPS;LABELS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cc)
  set(tests ${sources})
  list(FILTER sources EXCLUDE REGEX "(main|_test)\\.cc$")
  list(FILTER tests INCLUDE REGEX "_test\\.cc$")
  string(REPLACE "-" "_" id ${name})
  # The manifest becomes a byte array, so that a binary needs no file beside it.
  set(manifest_cc ${CMAKE_CURRENT_BINARY_DIR}/${id}_manifest.cc)
  add_custom_command(OUTPUT ${manifest_cc}
    COMMAND ${CMAKE_COMMAND} -DIN=${CMAKE_CURRENT_SOURCE_DIR}/manifest.textproto -DOUT=${manifest_cc} -DID=${id}
            -P ${CMAKE_SOURCE_DIR}/tools/cmake/embed.cmake
    DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/manifest.textproto ${CMAKE_SOURCE_DIR}/tools/cmake/embed.cmake)
  add_library(manifest_${id} STATIC ${manifest_cc})  # neapctl links these alone
  add_library(scaler_${id} STATIC ${sources})
  target_include_directories(scaler_${id} PUBLIC ${CMAKE_SOURCE_DIR})
  target_link_libraries(scaler_${id} PUBLIC neap_sdk ${ARG_DEPS} manifest_${id})
  add_executable(neap-scaler-${name} main.cc)
  target_link_libraries(neap-scaler-${name} PRIVATE scaler_${id})
  if(tests)
    neap_test(scaler_${id} SOURCES ${tests} DEPS scaler_${id} neap_sdk_testing neap_test_support LABELS ${ARG_LABELS})
  endif()
  set_property(GLOBAL APPEND PROPERTY NEAP_SCALERS ${id})
endfunction()

# neap_pytest(<name> FILE <file.py> [LABELS ...]): one ctest that runs pytest; NEAP_BIN is where the binaries are.
function(neap_pytest name)
  cmake_parse_arguments(ARG "" "FILE" "LABELS" ${ARGN})
  add_test(NAME ${name}
    COMMAND /usr/bin/python3 -m pytest -q -x --color=no -p no:cacheprovider
            --junitxml=${CMAKE_BINARY_DIR}/results/${name}.xml ${CMAKE_CURRENT_SOURCE_DIR}/${ARG_FILE}
    WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
  set_tests_properties(${name} PROPERTIES LABELS "${ARG_LABELS}" TIMEOUT 900
    ENVIRONMENT "NEAP_BIN=${CMAKE_RUNTIME_OUTPUT_DIRECTORY};PYTHONDONTWRITEBYTECODE=1")
endfunction()
