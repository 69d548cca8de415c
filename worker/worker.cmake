# nsa-worker: one fully static program. It is copied to hosts of any distribution, so nothing of theirs is needed but
# a kernel. The boxes are linked as archives by file: their imported dependencies name shared libraries.
add_library(nsa_worker_main OBJECT main.cpp)
target_compile_definitions(nsa_worker_main PRIVATE NSA_VERSION="${PROJECT_VERSION}")
target_link_libraries(nsa_worker_main PRIVATE nsa_options nsa_serve nsa_runner nsa_probe nsa_posix nsa_language)
if(NOT NSA_SANITIZE)
    find_library(NSA_STATIC_JSON NAMES libboost_json.a REQUIRED)
    find_library(NSA_STATIC_CONTAINER NAMES libboost_container.a REQUIRED)
    find_library(NSA_STATIC_CRYPTO NAMES libcrypto.a REQUIRED)
    find_library(NSA_STATIC_RE2 NAMES libre2.a REQUIRED)
endif()

# nsa_worker_program(<name> [object library...]): these objects take the place of what the archives define.
function(nsa_worker_program name)
    add_executable(${name} $<TARGET_OBJECTS:nsa_worker_main>)
    set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin LINKER_LANGUAGE CXX)
    foreach(objects IN LISTS ARGN)
        target_sources(${name} PRIVATE $<TARGET_OBJECTS:${objects}>)
    endforeach()
    target_link_libraries(${name} PRIVATE nsa_options)
    if(NSA_SANITIZE)
        # Sanitizers cannot be linked statically.
        target_link_libraries(${name} PRIVATE nsa_serve nsa_runner nsa_probe nsa_posix nsa_language)
        return()
    endif()
    foreach(library nsa_serve nsa_runner nsa_probe nsa_journal nsa_posix nsa_protocol nsa_language nsa_failpoints_off)
        add_dependencies(${name} ${library})
        target_link_libraries(${name} PRIVATE $<TARGET_FILE:${library}>)
    endforeach()
    target_link_libraries(${name} PRIVATE ${NSA_STATIC_RE2} ${NSA_STATIC_JSON} ${NSA_STATIC_CONTAINER}
        ${NSA_STATIC_CRYPTO})
    # -s: the symbols are three quarters of the file, and it is sent over the network.
    target_link_options(${name} PRIVATE -static -Wl,--gc-sections -s)
endfunction()

nsa_worker_program(nsa-worker)
# The same objects with live failpoints and a boot id that can be set, for tests and the fault laboratory.
nsa_worker_program(nsa-worker-lab nsa_failpoints_lab nsa_worker_lab_boot_id)
