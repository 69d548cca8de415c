# Precompiled headers: what a source would parse again and again is parsed once. Only headers of the system and of
# libraries are in them, so that an edited header of ours rebuilds no more than its users. Sources still include
# what they use: -DCMAKE_DISABLE_PRECOMPILE_HEADERS=ON builds without.
# Four sets, shared by all targets: plain and asio for the product, test_plain and test_asio for tests (with
# GoogleTest, and without optimisation: a precompiled header serves only sources with its own flags).
set(nsa_plain_headers
    <algorithm> <array> <charconv> <chrono> <cmath> <cstdint> <cstring> <filesystem> <fstream> <functional> <limits>
    <map> <memory> <optional> <set> <span> <sstream> <stdexcept> <string> <string_view> <utility> <variant> <vector>
    <boost/json.hpp> <boost/system/result.hpp>)
set(nsa_asio_headers
    <boost/asio/any_io_executor.hpp> <boost/asio/as_tuple.hpp> <boost/asio/awaitable.hpp> <boost/asio/co_spawn.hpp>
    <boost/asio/io_context.hpp> <boost/asio/posix/stream_descriptor.hpp> <boost/asio/post.hpp>
    <boost/asio/steady_timer.hpp> <boost/asio/this_coro.hpp> <boost/asio/use_awaitable.hpp>)
set(nsa_test_headers <gmock/gmock.h> <gtest/gtest.h>)

# nsa_precompiled_set(<set> HEADERS ... [LINK ...] [OPTIONS ...]): makes a set. LINK brings the definitions that its
# users have as well; OPTIONS are their compile options beside nsa_options.
function(nsa_precompiled_set set)
    cmake_parse_arguments(arg "" "" "HEADERS;LINK;OPTIONS" ${ARGN})
    set(source ${CMAKE_BINARY_DIR}/precompiled/${set}.cpp)
    file(CONFIGURE OUTPUT ${source} CONTENT "// Carries the precompiled headers of set ${set}.\n")
    add_library(nsa_precompiled_${set} OBJECT ${source})
    target_compile_options(nsa_precompiled_${set} PRIVATE ${arg_OPTIONS})
    target_link_libraries(nsa_precompiled_${set} PRIVATE nsa_options nsa_boost ${arg_LINK})
    target_precompile_headers(nsa_precompiled_${set} PRIVATE ${arg_HEADERS})
endfunction()

# nsa_precompile(<target> <set>|none): the target, which links nsa_boost, compiles with the headers of the set.
function(nsa_precompile target set)
    if(NOT set STREQUAL none)
        target_precompile_headers(${target} REUSE_FROM nsa_precompiled_${set})
    endif()
endfunction()
