// A context of random tokens in which one token answers the query, and the attention that must find it.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "nsa_core/needle/needle.hpp"
#include "nsa_core/needle/needle_rows.hpp"
#include "nsa_core/numeric.hpp"
#include "nsa_core/paged_cache.hpp"
#include "nsa_core/routes.hpp"
#include "nsa_core/routes/paged_step.hpp"

namespace nsa::core::needle {

struct HaystackShape {
    NsaConfig config = {};
    std::int64_t seq = 0;  // tokens, the query's own included
    std::int64_t page_tokens = 64;
    DType dtype = DType::kFp32;
    Mode mode = Mode::kDecode;
    Route route = Route::kReference;  // of the step, or of the selected branch of the prefill
};

/// Standard normal queries, keys and values from one seed, drawn on the CPU: the same on every device. All
/// three branches see the same rows. The query of head h scores `strength` against the needle's key, exactly
/// up to rounding, and about N(0, 1) against every other.
class Haystack {
  public:
    /// Throws InputError when dk is smaller than the heads of a group: no key can answer them all then.
    Haystack(const HaystackShape& shape, double strength, std::int64_t seed, at::Device device);

    /// Asks for the needle at `position`; only the selected branch answers.
    [[nodiscard]] Trial find(std::int64_t position);

  private:
    struct Answer {
        at::Tensor out;     // [H,dv], fp64 on the CPU
        at::Tensor blocks;  // [G,n]
    };
    [[nodiscard]] Answer ask(const at::Tensor& keys) const;
    [[nodiscard]] Answer step(const at::Tensor& keys) const;
    [[nodiscard]] Answer prefill(const at::Tensor& keys) const;
    [[nodiscard]] std::vector<bool> hits(const at::Tensor& blocks, std::int64_t position) const;

    HaystackShape shape_;
    at::Tensor q_;          // [H,dk]
    at::Tensor earlier_;    // [H,S-1,dk], queries before it; undefined where a step asks
    at::Tensor keys_;       // [G,S,dk]
    at::Tensor values_;     // [G,S,dv]
    at::Tensor needle_;     // [G,dk], the key that answers
    at::Tensor by_chance_;  // what is selected without a needle; undefined until they are needed
};

}  // namespace nsa::core::needle
