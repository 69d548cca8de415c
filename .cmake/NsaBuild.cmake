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
    # base_dir and no hash_dir: clones and build folders share results; sloppiness: precompiled headers. base_dir is
    # the folder that holds the sources and the build, where that is the sources' folder or the one above.
    set(nsa_base_dir ${CMAKE_SOURCE_DIR})
    get_filename_component(nsa_above ${CMAKE_SOURCE_DIR} DIRECTORY)
    string(FIND ${CMAKE_BINARY_DIR}/ ${CMAKE_SOURCE_DIR}/ nsa_inside)
    string(FIND ${CMAKE_BINARY_DIR}/ ${nsa_above}/ nsa_beside)
    if(NOT nsa_inside EQUAL 0 AND nsa_beside EQUAL 0)
        set(nsa_base_dir ${nsa_above})
    endif()
    set(nsa_ccache ${CMAKE_COMMAND} -E env CCACHE_BASEDIR=${nsa_base_dir} CCACHE_NOHASHDIR=1
        CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime ${CCACHE_PROGRAM})
    set(CMAKE_CXX_COMPILER_LAUNCHER ${nsa_ccache})
    set(CMAKE_C_COMPILER_LAUNCHER ${nsa_ccache})
endif()

add_library(nsa_options INTERFACE)
target_compile_options(nsa_options INTERFACE -Wall -Wextra -Wshadow -Wnon-virtual-dtor -Werror=return-type
    # The first garbage collection of the compiler's heap, in KiB: with a precompiled header each one costs much, and
    # below this most sources need none. Large sources take a seventh less.
    $<$<COMPILE_LANG_AND_ID:CXX,GNU>:--param=ggc-min-heapsize=524288>)
foreach(flags CMAKE_CXX_FLAGS_DEBUG CMAKE_CXX_FLAGS_RELWITHDEBINFO)
    string(REGEX REPLACE "-g( |$)" "-g1\\1" ${flags} "${${flags}}")  # lines for backtraces; no variables, no types
endforeach()
find_program(NSA_LLD ld.lld)
if(NSA_LLD)
    target_link_options(nsa_options INTERFACE $<$<LINK_LANGUAGE:CXX>:-fuse-ld=lld>)  # a quarter of the time of GNU ld
endif()
if(NSA_SANITIZE)
    target_compile_options(nsa_options INTERFACE -fsanitize=${NSA_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
    target_link_options(nsa_options INTERFACE -fsanitize=${NSA_SANITIZE})
endif()

# The programs of the control side and the worker wait for disks, links and children far more than they compute:
# -O1, which compiles a fifth faster than -O2; where coroutines only wait (the boxes with Asio's precompiled headers)
# -Og, which saves a seventh more and would double the time of the reader. nsa_core keeps the flags of its build type.
set(nsa_product_options $<$<CONFIG:RelWithDebInfo>:-O1>)
set(nsa_waiting_options $<$<CONFIG:RelWithDebInfo>:-Og>)
# A third less to compile, and a tenth without debug information (preset dev has it); what they test keeps its flags.
set(nsa_test_options -O0 $<$<CONFIG:RelWithDebInfo>:-g0>)

# nsa_box(<box> SOURCES ... [LINK ...] [PRIVATE_LINK ...] [PRECOMPILED plain|asio|none])
# Makes the static library nsa_<box> from the current folder. Its headers are reached as "<box>/name.hpp", and
# only by targets that link it: every box has an include folder of its own that holds nothing but itself.
function(nsa_box box)
    cmake_parse_arguments(arg "" "PRECOMPILED" "SOURCES;LINK;PRIVATE_LINK" ${ARGN})
    set(view ${CMAKE_BINARY_DIR}/boxes/${box})
    file(MAKE_DIRECTORY ${view})
    file(CREATE_LINK ${CMAKE_CURRENT_SOURCE_DIR} ${view}/${box} SYMBOLIC)
    if(arg_SOURCES)
        add_library(nsa_${box} STATIC ${arg_SOURCES})
        set(scope PUBLIC)
        nsa_default(arg_PRECOMPILED plain)
        nsa_product(nsa_${box} ${arg_PRECOMPILED})
        target_link_libraries(nsa_${box} PRIVATE nsa_options ${arg_PRIVATE_LINK})
    else()
        add_library(nsa_${box} INTERFACE)
        set(scope INTERFACE)
    endif()
    target_include_directories(nsa_${box} ${scope} ${view})
    target_link_libraries(nsa_${box} ${scope} ${arg_LINK})
endfunction()

# nsa_default(<variable> <value>): the variable's value where the caller gave none.
macro(nsa_default variable value)
    if(NOT ${variable})
        set(${variable} ${value})
    endif()
endmacro()

# nsa_product(<target> plain|asio|none): compiles as a part of the product, with that set of precompiled headers.
function(nsa_product target set)
    if(set STREQUAL asio)
        target_compile_options(${target} PRIVATE ${nsa_waiting_options})
    else()
        target_compile_options(${target} PRIVATE ${nsa_product_options})
    endif()
    nsa_precompile(${target} ${set})
endfunction()

# Boxes and tests land one by one; a folder without a CMakeLists.txt is not built yet.
function(nsa_add_if_present)
    foreach(dir IN LISTS ARGN)
        if(EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/${dir}/CMakeLists.txt)
            add_subdirectory(${dir})
        endif()
    endforeach()
endfunction()

# nsa_program(<name> SOURCES ... LINK ... [PRECOMPILED plain|asio|none])
function(nsa_program name)
    cmake_parse_arguments(arg "" "PRECOMPILED" "SOURCES;LINK" ${ARGN})
    add_executable(${name} ${arg_SOURCES})
    nsa_default(arg_PRECOMPILED asio)
    nsa_product(${name} ${arg_PRECOMPILED})
    target_link_libraries(${name} PRIVATE nsa_options ${arg_LINK})
    set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
endfunction()

# nsa_test(<name> SOURCES ... LINK ... [LABELS ...] [PRECOMPILED test_plain|test_asio|none]): one GoogleTest
# executable, one ctest entry per test case.
function(nsa_test name)
    cmake_parse_arguments(arg "" "PRECOMPILED" "SOURCES;LINK;LABELS" ${ARGN})
    add_executable(${name} ${arg_SOURCES})
    target_link_libraries(${name} PRIVATE nsa_options ${arg_LINK} GTest::gmock GTest::gtest_main)
    target_compile_options(${name} PRIVATE ${nsa_test_options})
    nsa_default(arg_PRECOMPILED test_plain)
    nsa_precompile(${name} ${arg_PRECOMPILED})
    set(properties TIMEOUT 120)
    if(arg_LABELS)
        list(APPEND properties LABELS "${arg_LABELS}")
    endif()
    gtest_discover_tests(${name} DISCOVERY_TIMEOUT 60 PROPERTIES ${properties})
endfunction()

# nsa_test_library(<name> SOURCES ... LINK ... [PRECOMPILED test_plain|test_asio|none]): what several tests of a
# folder share; its headers are reached by their names.
function(nsa_test_library name)
    cmake_parse_arguments(arg "" "PRECOMPILED" "SOURCES;LINK" ${ARGN})
    add_library(${name} STATIC ${arg_SOURCES})
    target_include_directories(${name} PUBLIC ${CMAKE_CURRENT_SOURCE_DIR})
    target_compile_options(${name} PRIVATE ${nsa_test_options})
    target_link_libraries(${name} PUBLIC ${arg_LINK} PRIVATE nsa_options GTest::gmock)
    nsa_default(arg_PRECOMPILED test_asio)
    nsa_precompile(${name} ${arg_PRECOMPILED})
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

include(NsaPrecompiled)
nsa_precompiled_set(plain HEADERS ${nsa_plain_headers} OPTIONS ${nsa_product_options})
nsa_precompiled_set(asio HEADERS ${nsa_plain_headers} ${nsa_asio_headers} OPTIONS ${nsa_waiting_options})
if(NSA_BUILD_TESTS)
    nsa_precompiled_set(test_plain HEADERS ${nsa_plain_headers} ${nsa_test_headers}
        LINK GTest::gmock OPTIONS ${nsa_test_options})
    nsa_precompiled_set(test_asio HEADERS ${nsa_plain_headers} ${nsa_test_headers} ${nsa_asio_headers}
        LINK GTest::gmock OPTIONS ${nsa_test_options})
endif()
