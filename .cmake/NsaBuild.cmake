# Build rules shared by all boxes: the standard, warnings, sanitizers, and the functions nsa_box / nsa_test.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
if(NOT CMAKE_BUILD_TYPE)
    set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "" FORCE)
endif()

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
    # base_dir and no hash_dir: build folders of one checkout share results; sloppiness: precompiled headers.
    set(nsa_ccache ${CMAKE_COMMAND} -E env CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=1
        CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime ${CCACHE_PROGRAM})
    set(CMAKE_CXX_COMPILER_LAUNCHER ${nsa_ccache})
    set(CMAKE_C_COMPILER_LAUNCHER ${nsa_ccache})
endif()

add_library(nsa_options INTERFACE)
target_compile_options(nsa_options INTERFACE -Wall -Wextra -Wshadow -Wnon-virtual-dtor -Werror=return-type
    $<$<NOT:$<CONFIG:Release>>:-g1>)
if(NSA_SANITIZE)
    target_compile_options(nsa_options INTERFACE -fsanitize=${NSA_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
    target_link_options(nsa_options INTERFACE -fsanitize=${NSA_SANITIZE})
endif()

# nsa_box(<box> SOURCES ... [LINK ...] [PRIVATE_LINK ...])
# Makes the static library nsa_<box> from the current folder. Its headers are reached as "<box>/name.hpp", and
# only by targets that link it: every box has an include folder of its own that holds nothing but itself.
function(nsa_box box)
    cmake_parse_arguments(arg "" "" "SOURCES;LINK;PRIVATE_LINK" ${ARGN})
    set(view ${CMAKE_BINARY_DIR}/boxes/${box})
    file(MAKE_DIRECTORY ${view})
    file(CREATE_LINK ${CMAKE_CURRENT_SOURCE_DIR} ${view}/${box} SYMBOLIC)
    if(arg_SOURCES)
        add_library(nsa_${box} STATIC ${arg_SOURCES})
        set(scope PUBLIC)
        target_link_libraries(nsa_${box} PRIVATE nsa_options ${arg_PRIVATE_LINK})
    else()
        add_library(nsa_${box} INTERFACE)
        set(scope INTERFACE)
    endif()
    target_include_directories(nsa_${box} ${scope} ${view})
    target_link_libraries(nsa_${box} ${scope} ${arg_LINK})
endfunction()

# Boxes and tests land one by one; a folder without a CMakeLists.txt is not built yet.
function(nsa_add_if_present)
    foreach(dir IN LISTS ARGN)
        if(EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/${dir}/CMakeLists.txt)
            add_subdirectory(${dir})
        endif()
    endforeach()
endfunction()

# nsa_program(<name> SOURCES ... LINK ...)
function(nsa_program name)
    cmake_parse_arguments(arg "" "" "SOURCES;LINK" ${ARGN})
    add_executable(${name} ${arg_SOURCES})
    target_link_libraries(${name} PRIVATE nsa_options ${arg_LINK})
    set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
endfunction()

# nsa_test(<name> SOURCES ... LINK ... [LABELS ...]): one GoogleTest executable, one ctest entry per test case.
function(nsa_test name)
    cmake_parse_arguments(arg "" "" "SOURCES;LINK;LABELS" ${ARGN})
    add_executable(${name} ${arg_SOURCES})
    target_link_libraries(${name} PRIVATE nsa_options ${arg_LINK} GTest::gmock GTest::gtest_main)
    target_compile_options(${name} PRIVATE -O0)  # a third less to compile; what they test keeps its flags
    set(properties TIMEOUT 120)
    if(arg_LABELS)
        list(APPEND properties LABELS "${arg_LABELS}")
    endif()
    gtest_discover_tests(${name} DISCOVERY_TIMEOUT 60 PROPERTIES ${properties})
endfunction()

# Boost 1.81 is the floor: Asio's awaitable operators, JSON and Process v2 (docs/adr/0002).
find_package(Boost 1.81 REQUIRED COMPONENTS json)
add_library(nsa_boost INTERFACE)
target_link_libraries(nsa_boost INTERFACE Boost::headers Boost::json)
target_compile_definitions(nsa_boost INTERFACE BOOST_ASIO_NO_DEPRECATED)
# Asio allocates coroutine frames with aligned_alloc behind its operator new; g++ 12 inlines that and warns.
target_compile_options(nsa_boost INTERFACE $<$<CXX_COMPILER_ID:GNU>:-Wno-mismatched-new-delete>)
find_package(Threads REQUIRED)
find_package(OpenSSL REQUIRED COMPONENTS Crypto)
find_package(fmt REQUIRED)
if(NSA_BUILD_TESTS)
    find_package(GTest REQUIRED)
    include(GoogleTest)
endif()
