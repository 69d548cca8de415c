// Launches of learnable compression for prefill_times, bf16: weights and scratch of one phi_hidden, keys and
// values alike.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "nsa_core/cuda/compress/compress.hpp"
#include "timing.cuh"

namespace nsa::timing {

/// Of keys and of values.
struct LearnableRows {
    Rows tokens[core::cuda::kSides];
    Rows compressed[core::cuda::kSides];  // results, and gradients of results
    Rows d_tokens[core::cuda::kSides];
};

class CompressTimes {
  public:
    struct Launch {
        std::string kernel;
        double flop;
        std::function<cudaError_t()> start;
    };

    CompressTimes(const core::cuda::PrefillShape& shape, const core::cuda::Sequences& sequences, int hidden,
                  const core::cuda::DeviceLimits& limits)
        : forward_{.shape = shape, .sequences = sequences, .hidden = hidden},
          backward_{.shape = shape, .sequences = sequences, .hidden = hidden},
          plan_{core::cuda::plan_compress_backward(shape, hidden, limits)} {
        for (int side = 0; side < core::cuda::kSides; ++side)
            fill(side);
    }

    /// They borrow what this object holds.
    [[nodiscard]] std::vector<Launch> launches(const LearnableRows& rows) const {
        using core::cuda::CompressPart;
        core::cuda::CompressForward forward = forward_;
        core::cuda::CompressBackward backward = backward_;
        for (int side = 0; side < core::cuda::kSides; ++side) {
            forward.side[side].rows = backward.side[side].rows = rows.tokens[side];
            forward.side[side].out = rows.compressed[side];
            backward.side[side].d_out = rows.compressed[side];
            backward.side[side].d_rows = rows.d_tokens[side];
        }
        const auto part = [=, plan = plan_](CompressPart one) {
            return [=] { return core::cuda::launch_compress_backward(backward, plan, nullptr, one); };
        };
        const double rows_hidden =
            static_cast<double>(core::cuda::hidden_rows(forward.shape)) * forward.hidden;
        const double widths = forward.shape.dk + forward.shape.dv;
        const double into = 2 * rows_hidden * forward.shape.l * widths;
        const double out_of = 2 * rows_hidden * widths;
        return {{"compress_forward", into + out_of,
                 [=] { return core::cuda::launch_compress_forward(forward, nullptr); }},
                {"compress_pre", out_of, part(CompressPart::kPre)},
                {"compress_weights", into + out_of, part(CompressPart::kWeights)},
                {"compress_rows", into, part(CompressPart::kRows)}};
    }

  private:
    void* numbers(std::int64_t count, float scale) {
        kept_.push_back(allocate(static_cast<std::size_t>(count) * 2));
        fill_kernel<<<1024, 256>>>(static_cast<__nv_bfloat16*>(kept_.back().get()),
                                   static_cast<std::size_t>(count), 12, scale);
        check(cudaGetLastError(), "fill");
        return kept_.back().get();
    }
    float* floats(std::size_t count) {
        kept_.push_back(allocate(count * sizeof(float)));
        return static_cast<float*>(kept_.back().get());
    }

    void fill(int side) {
        const core::cuda::PrefillShape& shape = forward_.shape;
        const std::int64_t width = core::cuda::side_width(shape, side);
        const std::int64_t block = shape.l * width;
        const std::int64_t hidden = forward_.hidden;
        const std::int64_t all = core::cuda::hidden_rows(shape) * hidden;
        forward_.side[side] = {.phi = {.position = numbers(block, 1),
                                       .w1 = numbers(hidden * block, 0.015F),
                                       .b1 = numbers(hidden, 1),
                                       .w2 = numbers(width * hidden, 0.1F),
                                       .b2 = numbers(width, 1)},
                               .pre = numbers(all, 1),
                               .act = numbers(all, 1),
                               .bias = floats(static_cast<std::size_t>(hidden))};
        backward_.side[side] = {
            .phi = forward_.side[side].phi,
            .pre = forward_.side[side].pre,
            .d_pre = numbers(all, 1),
            .act = numbers(all, 1),
            .parts = floats(core::cuda::compress_parts(shape, forward_.hidden, side, plan_)),
            .d_phi = {.position = numbers(block, 1),
                      .w1 = numbers(hidden * block, 1),
                      .b1 = numbers(hidden, 1),
                      .w2 = numbers(width * hidden, 1),
                      .b2 = numbers(width, 1)}};
    }

    std::vector<Memory> kept_;
    core::cuda::CompressForward forward_;
    core::cuda::CompressBackward backward_;
    core::cuda::CompressPlan plan_;
};

}  // namespace nsa::timing
