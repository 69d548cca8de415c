// A call that an autograd function keeps from forward to backward.
#pragma once

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include <utility>

#include "nsa_core/routes/cuda_prefill_autograd.hpp"

namespace nsa::core {

// A call as a value that a context can keep.
struct SavedCall : torch::CustomClassHolder {
    explicit SavedCall(CudaCall c) : call{std::move(c)} {}
    CudaCall call;
};

inline void save_call(torch::autograd::AutogradContext* ctx, const CudaCall& call) {
    ctx->saved_data["call"] = c10::IValue::make_capsule(c10::make_intrusive<SavedCall>(call));
}

/// In the backward, of which there is no other: throws c10::Error under create_graph. What kernels return has
/// no history, and a second derivative would silently be 0.
[[nodiscard]] inline CudaCall saved_call(torch::autograd::AutogradContext* ctx) {
    TORCH_CHECK(!at::GradMode::is_enabled(),
                "route cuda has no second derivative (create_graph was asked for)");
    const auto capsule = ctx->saved_data["call"].toCapsule();
    return static_cast<const SavedCall&>(*capsule).call;
}

}  // namespace nsa::core
