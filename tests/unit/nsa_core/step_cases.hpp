// Layers, caches and checks for the tests of the one-kernel step, on a GPU and on the emulator.
#pragma once

#include <ATen/core/Tensor.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>

#include "cases.hpp"
#include "nsa_core/config.hpp"
#include "nsa_core/module.hpp"

namespace nsa::core::test {

/// The same layer twice: what the kernel runs, and the truth in fp64 from the very same weights.
struct Layer {
    explicit Layer(const NsaConfig& config, RoutePolicy policy = {}, at::Device device = at::kCPU);

    NSAAttention fp32;
    NSAAttention fp64;
};

/// The input of token t, [1,dim].
[[nodiscard]] at::Tensor token(const NsaConfig& c, std::int64_t t, at::Device device = at::kCPU);

/// Random rows of `length` tokens, alike in all caches, as if they had been decoded.
void fill(const NsaConfig& c, std::int64_t length, std::initializer_list<DecodeCache*> caches);

/// One step in truth, with the importance that its choice was made from.
struct Truth {
    at::Tensor out;         // [1,dim]
    at::Tensor blocks;      // [G,picks]
    at::Tensor importance;  // [G,blocks]
};

/// Whether the kernel picked the same blocks [G,n]; expects of a different pick that it is one of a tie.
[[nodiscard]] bool same_blocks(const Truth& truth, const at::Tensor& picked);

/// Largest errors over the steps whose blocks agree, and how many did not.
struct Tally {
    double ours = 0;
    double plain = 0;  // of the layer's own fp32 decode
    std::int64_t ties = 0;
    std::int64_t steps = 0;

    /// As good as an honest fp32 implementation: twice its error, and a rounding of values around 1.
    void expect_good() const;
};

/// The step under test, made for one cache.
class StepCandidate {
  public:
    virtual ~StepCandidate() = default;
    virtual at::Tensor step(const at::Tensor& x) = 0;
    [[nodiscard]] virtual at::Tensor reads() const = 0;   // [G,3] of the last step
    [[nodiscard]] virtual at::Tensor blocks() const = 0;  // [G,n]
};
using MakeStep =
    std::function<std::unique_ptr<StepCandidate>(const NSAAttention&, DecodeCache&, std::int64_t capacity)>;

/// Steps `count` tokens from `begin` on, behind random rows, with every check on each: output, blocks, reads.
[[nodiscard]] Tally run_candidate(const Layer& layer, std::int64_t begin, std::int64_t count,
                                  const MakeStep& make);

template <class Change>
[[nodiscard]] NsaConfig with(const Change& change) {
    NsaConfig c;
    change(c);
    return c;
}

}  // namespace nsa::core::test
