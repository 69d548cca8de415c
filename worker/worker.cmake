# nsa-worker: one fully static program. It is copied to hosts of any distribution, so nothing of theirs is needed but
# a kernel. The boxes are linked as archives by file: their imported dependencies name shared libraries.
add_executable(nsa-worker main.cpp)
target_compile_definitions(nsa-worker PRIVATE NSA_VERSION="${PROJECT_VERSION}")
set_target_properties(nsa-worker PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
target_link_libraries(nsa-worker PRIVATE nsa_options)
if(NSA_SANITIZE)
    # Sanitizers cannot be linked statically.
    target_link_libraries(nsa-worker PRIVATE nsa_serve nsa_runner nsa_probe nsa_posix nsa_language)
else()
    find_library(NSA_STATIC_JSON NAMES libboost_json.a REQUIRED)
    find_library(NSA_STATIC_CONTAINER NAMES libboost_container.a REQUIRED)
    find_library(NSA_STATIC_CRYPTO NAMES libcrypto.a REQUIRED)
    find_library(NSA_STATIC_RE2 NAMES libre2.a REQUIRED)
    foreach(box serve runner probe journal posix protocol language)
        add_dependencies(nsa-worker nsa_${box})
        target_include_directories(nsa-worker PRIVATE $<TARGET_PROPERTY:nsa_${box},INTERFACE_INCLUDE_DIRECTORIES>)
        target_link_libraries(nsa-worker PRIVATE $<TARGET_FILE:nsa_${box}>)
    endforeach()
    target_link_libraries(nsa-worker PRIVATE ${NSA_STATIC_RE2} ${NSA_STATIC_JSON} ${NSA_STATIC_CONTAINER}
        ${NSA_STATIC_CRYPTO})
    # -s: the symbols are three quarters of the file, and it is sent over the network.
    target_link_options(nsa-worker PRIVATE -static -Wl,--gc-sections -s)
endif()
