# Finds the torch wheel and makes imported targets of it: nsa_torch, which is torch_cpu and c10, and with CUDA
# also torch_cuda and c10_cuda. Not find_package(Torch): that one stops on a machine without a CUDA toolkit
# when the wheel is a CUDA build, and forces the wheel's own compiler flags on everything.
#
# Looked at, in this order: -DNSA_TORCH_DIR or the environment variable of that name (the folder "torch" of the
# package), the first python3 on the path, the private environments that ./setup makes.
# Sets NSA_TORCH_DIR, NSA_TORCH_VERSION, NSA_TORCH_CUDA_VERSION ("" for a CPU wheel), NSA_TORCH_CXX11_ABI (0 or 1,
# for all code that shares strings with torch) and NSA_CUDA_ON.

set(nsa_torch_floor 2.6)  # what the code was written against: older ones lack calls that it makes
set(NSA_TORCH_DIR "$ENV{NSA_TORCH_DIR}" CACHE PATH "The folder of the torch package, site-packages/torch")
set(NSA_CUDA AUTO CACHE STRING "CUDA device support: AUTO (when toolkit and wheel have it), ON or OFF")
set_property(CACHE NSA_CUDA PROPERTY STRINGS AUTO ON OFF)

# Reads one quoted value of torch/version.py, e.g. __version__ = '2.11.0+cu130'. "" when it is None or absent.
function(nsa_read_torch_value dir name out)
    set(value "")
    if(EXISTS ${dir}/version.py)
        file(STRINGS ${dir}/version.py lines REGEX "^${name}[ :=]")
        if(lines MATCHES "= *'([^']*)'")
            set(value "${CMAKE_MATCH_1}")
        endif()
    endif()
    set(${out} "${value}" PARENT_SCOPE)
endfunction()

# Why the folder cannot be used; "" when it can.
function(nsa_torch_fault dir out)
    nsa_read_torch_value("${dir}" __version__ version)
    if(NOT version)
        set(${out} "${dir}: no torch package (version.py is missing or says no version)" PARENT_SCOPE)
    elseif(version VERSION_LESS nsa_torch_floor)
        set(${out} "${dir}: torch ${version} is older than ${nsa_torch_floor}" PARENT_SCOPE)
    elseif(NOT EXISTS ${dir}/lib/libtorch_cpu.so OR NOT EXISTS ${dir}/include/ATen/ATen.h)
        set(${out} "${dir}: lib/libtorch_cpu.so or include/ATen is missing" PARENT_SCOPE)
    else()
        set(${out} "" PARENT_SCOPE)
    endif()
endfunction()

function(nsa_torch_candidates out)
    set(found "")
    find_program(NSA_PYTHON3 python3)
    if(NSA_PYTHON3)
        # find_spec names the folder without the seconds that an import of torch takes.
        execute_process(
            COMMAND ${NSA_PYTHON3} -c
                    "import importlib.util as u; s = u.find_spec('torch'); print(s.submodule_search_locations[0] if s else '')"
            OUTPUT_VARIABLE dir OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
        if(dir)
            list(APPEND found ${dir})
        endif()
    endif()
    set(cache "$ENV{XDG_CACHE_HOME}")
    if(NOT cache)
        set(cache "$ENV{HOME}/.cache")
    endif()
    file(GLOB private "${cache}/nsa/torch-*/lib/python*/site-packages/torch")
    list(SORT private COMPARE NATURAL ORDER DESCENDING)
    list(APPEND found ${private})
    set(${out} "${found}" PARENT_SCOPE)
endfunction()

# A folder that the user named is the only candidate.
if(NSA_TORCH_DIR)
    set(nsa_candidates ${NSA_TORCH_DIR})
else()
    nsa_torch_candidates(nsa_candidates)
endif()
set(nsa_torch_found "")
set(nsa_faults "")
foreach(dir IN LISTS nsa_candidates)
    nsa_torch_fault(${dir} nsa_fault)
    if(NOT nsa_fault)
        set(nsa_torch_found ${dir})
        break()
    endif()
    string(APPEND nsa_faults "\n  ${nsa_fault}")
endforeach()
if(NOT nsa_torch_found)
    message(FATAL_ERROR "nsa_core needs LibTorch ${nsa_torch_floor} or newer and found none.${nsa_faults}\n"
        "Run ./setup, or install it (pip install torch), or name its folder: -DNSA_TORCH_DIR=.../site-packages/torch")
endif()
set(NSA_TORCH_DIR ${nsa_torch_found} CACHE PATH "The folder of the torch package, site-packages/torch" FORCE)
nsa_read_torch_value(${NSA_TORCH_DIR} __version__ NSA_TORCH_VERSION)
nsa_read_torch_value(${NSA_TORCH_DIR} cuda NSA_TORCH_CUDA_VERSION)

# Wheels of 2.6 come with either ABI of std::string; newer ones with the new one. What a constructor of c10
# takes tells which.
file(STRINGS ${NSA_TORCH_DIR}/lib/libc10.so nsa_new_abi REGEX "_ZN3c105ErrorC.*__cxx11" LIMIT_COUNT 1)
if(nsa_new_abi)
    set(NSA_TORCH_CXX11_ABI 1)
else()
    set(NSA_TORCH_CXX11_ABI 0)
endif()

# CUDA: the toolkit's headers and runtime must be of the major version that the wheel was built with, or two
# CUDA runtimes would live in one process.
if(NOT NSA_CUDA MATCHES "^(AUTO|ON|OFF)$")
    message(FATAL_ERROR "NSA_CUDA is '${NSA_CUDA}'; it can be AUTO, ON or OFF")
endif()
set(NSA_CUDA_ON OFF)
if(NOT NSA_CUDA STREQUAL "OFF")
    find_package(CUDAToolkit QUIET)
    set(nsa_why_no_cuda "")
    if(NOT EXISTS ${NSA_TORCH_DIR}/lib/libtorch_cuda.so)
        set(nsa_why_no_cuda "torch ${NSA_TORCH_VERSION} is a CPU wheel")
    elseif(NOT CUDAToolkit_FOUND)
        set(nsa_why_no_cuda "no CUDA toolkit was found (nvcc is not on the path)")
    elseif(NOT NSA_TORCH_CUDA_VERSION MATCHES "^${CUDAToolkit_VERSION_MAJOR}\\.")
        set(nsa_why_no_cuda
            "the CUDA toolkit is ${CUDAToolkit_VERSION} and torch was built with ${NSA_TORCH_CUDA_VERSION}: the major versions must agree")
    endif()
    if(NOT nsa_why_no_cuda)
        set(NSA_CUDA_ON ON)
    elseif(NSA_CUDA STREQUAL "ON")
        message(FATAL_ERROR "NSA_CUDA=ON, but ${nsa_why_no_cuda}")
    endif()
endif()

function(nsa_import_torch_library name)
    add_library(nsa_torch::${name} SHARED IMPORTED)
    set_target_properties(nsa_torch::${name} PROPERTIES IMPORTED_LOCATION ${NSA_TORCH_DIR}/lib/lib${name}.so
        IMPORTED_NO_SONAME OFF)
endfunction()

add_library(nsa_torch INTERFACE)
target_include_directories(nsa_torch SYSTEM INTERFACE ${NSA_TORCH_DIR}/include
    ${NSA_TORCH_DIR}/include/torch/csrc/api/include)
nsa_import_torch_library(c10)
nsa_import_torch_library(torch_cpu)
target_link_libraries(nsa_torch INTERFACE nsa_torch::torch_cpu nsa_torch::c10)
if(NSA_CUDA_ON)
    nsa_import_torch_library(c10_cuda)
    nsa_import_torch_library(torch_cuda)
    # The CUDA runtime that the wheel brings, when it brings one: a toolkit's own may be an older minor version
    # and lack functions that the wheel calls.
    file(GLOB nsa_cudart "${NSA_TORCH_DIR}/../nvidia/*/lib/libcudart.so.${CUDAToolkit_VERSION_MAJOR}")
    if(nsa_cudart)
        list(GET nsa_cudart 0 nsa_cudart)
        get_filename_component(nsa_cudart ${nsa_cudart} ABSOLUTE)
    else()
        set(nsa_cudart CUDA::cudart)
    endif()
    add_library(nsa_cudart INTERFACE)
    target_link_libraries(nsa_cudart INTERFACE ${nsa_cudart})
    target_include_directories(nsa_torch SYSTEM INTERFACE ${CUDAToolkit_INCLUDE_DIRS})
    # Nothing refers to torch_cuda by symbol: it registers its kernels when it is loaded, so it must not be
    # dropped as unneeded.
    target_link_libraries(nsa_torch INTERFACE "-Wl,--push-state,--no-as-needed" nsa_torch::torch_cuda
        nsa_torch::c10_cuda "-Wl,--pop-state" nsa_cudart)
    target_compile_definitions(nsa_torch INTERFACE NSA_WITH_CUDA)
endif()
message(STATUS "torch ${NSA_TORCH_VERSION} at ${NSA_TORCH_DIR}, CUDA ${NSA_CUDA_ON} ${nsa_why_no_cuda}")
