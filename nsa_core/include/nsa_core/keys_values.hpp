// The keys and the values of one branch, which go together everywhere.
#pragma once

#include <ATen/core/Tensor.h>

namespace nsa::core {

struct KeysValues {
    at::Tensor k;
    at::Tensor v;
};

}  // namespace nsa::core
