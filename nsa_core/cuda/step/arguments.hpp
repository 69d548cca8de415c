// What a step kernel is launched with, by value.
#pragma once

#include "nsa_core/cuda/step/layout.hpp"
#include "nsa_core/cuda/step/params.hpp"

namespace nsa::core::cuda::step {

struct Arguments {
    StepParams params;
    StepLayout at;
};

}  // namespace nsa::core::cuda::step
