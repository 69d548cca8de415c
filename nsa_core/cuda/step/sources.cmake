# Included by nsa_core/cuda/CMakeLists.txt; paths are relative to it.
set(nsa_cuda_step_sources
    step/cluster.cu
    step/grid.cu
    step/step.cpp)
