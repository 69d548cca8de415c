// The input of a decode step under test: a paged cache with sequences of several lengths, and the next token.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "nsa_core/config.hpp"
#include "nsa_core/paged_cache.hpp"
#include "nsa_core/parity/parity.hpp"
#include "nsa_core/routes/paged_step.hpp"

namespace nsa::core::parity {

// Factors of standard normal values. Huge: products of query and key are 600 (fp16) or 2500 times normal, so
// that scores reach some thousands or ten thousand and the unscaled product still fits fp16, for the sake of
// the plain implementation.
struct Magnitude {
    double key = 1;  // of queries and keys
    double value = 1;
};
[[nodiscard]] Magnitude magnitude_of(StepData data, DType dtype);

struct StepCase {
    NsaConfig config;
    DType dtype = DType::kBf16;
    std::int64_t page_tokens = 64;
    std::vector<std::int64_t> positions;  // of the step's tokens, -1 for an idle slot
    StepData data = StepData::kNormal;
    std::int64_t seed = 0;
};

// Drawn in fp64 and rounded to the dtype. Pages lie in shuffled order, and every row that holds no token, in
// unused pages, behind the last token and in the ring, is NaN. Two thirds of the heads gate a single branch,
// so that no branch hides behind the others; the rest mix all three. On the CPU.
struct StepProblem {
    explicit StepProblem(const StepCase& c);

    PagedCache cache;
    PagedStepInputs in;
};

}  // namespace nsa::core::parity
