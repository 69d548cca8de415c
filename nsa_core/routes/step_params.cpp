#include "nsa_core/routes/step_params.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <stdexcept>
#include <string>

#include "nsa_core/errors.hpp"

namespace nsa::core {
namespace {

int narrow_int(std::int64_t value) {
    return static_cast<int>(std::min<std::int64_t>(value, std::numeric_limits<int>::max()));
}

// Rotary frequencies in half turns per position, as rope.cpp has them in radians.
at::Tensor half_turns(const NsaConfig& c, at::Device device) {
    if (!c.rope) return {};
    const at::TensorOptions exact = at::TensorOptions{}.dtype(at::kDouble);
    const at::Tensor exponent = at::arange(c.dk / 2, exact).mul(-2.0 / static_cast<double>(c.dk));
    return at::pow(c.rope_base, exponent).div(std::numbers::pi).to(device);
}

cuda::StepWeights weights_of(const NSAAttention& module, const at::Tensor& turns) {
    const auto data = [&](std::string_view name) { return parameter(module, name).const_data_ptr<float>(); };
    return {.q = data("wq"),
            .rows = {data("wk_cmp"), data("wv_cmp"), data("wk_sel"), data("wv_sel"), data("wk_win"),
                     data("wv_win")},
            .gate_w1 = data("gate_w1"),
            .gate_b1 = data("gate_b1"),
            .gate_w2 = data("gate_w2"),
            .gate_b2 = data("gate_b2"),
            .out = data("wo"),
            .half_turns = turns.defined() ? turns.const_data_ptr<double>() : nullptr};
}

void expect_rows(const char* name, const at::Tensor& storage, std::int64_t groups, std::int64_t width,
                 const at::Tensor& weight) {
    if (storage.size(0) == 1 && storage.size(1) == groups && storage.size(3) == width &&
        storage.scalar_type() == weight.scalar_type() && storage.device() == weight.device() &&
        storage.stride(2) == width && storage.stride(3) == 1) {
        return;
    }
    throw InputError(c10::str("one-kernel step: ", name, " of the cache are ", storage.sizes(), " of ",
                              storage.scalar_type(), " on ", storage.device(), "; the layer needs [1, ",
                              groups, ", capacity, ", width, "] of ", weight.scalar_type(), " on ",
                              weight.device()));
}

}  // namespace

const at::Tensor& parameter(const NSAAttention& module, std::string_view name) {
    for (const NamedTensor& entry : module.parameters()) {
        if (entry.name == name) return entry.tensor;
    }
    throw std::logic_error{"the layer has no parameter " + std::string{name}};
}

cuda::StepShape step_shape(const NsaConfig& c, std::int64_t capacity) {
    return {.dim = narrow_int(c.dim),
            .heads = narrow_int(c.heads),
            .groups = narrow_int(c.groups),
            .dk = narrow_int(c.dk),
            .dv = narrow_int(c.dv),
            .l = narrow_int(c.l),
            .d = narrow_int(c.d),
            .l_sel = narrow_int(c.l_sel),
            .n = narrow_int(c.n),
            .n_initial = narrow_int(c.n_initial),
            .n_local = narrow_int(c.n_local),
            .w = narrow_int(c.w),
            .gate_hidden = narrow_int(c.gate_hidden),
            .capacity = narrow_int(capacity),
            .learnable_compressor = c.compressor == Compressor::kMlp,
            .rope = c.rope,
            .softmax_gate = c.gate == GateKind::kSoftmax};
}

StepBuffers::StepBuffers(const NSAAttention& module, std::int64_t workspace_bytes, at::Tensor to,
                         bool with_clocks) {
    const NsaConfig& c = module.config();
    const at::TensorOptions floats = parameter(module, "wq").options().requires_grad(false);
    const at::TensorOptions ints = floats.dtype(at::kInt);
    turns = half_turns(c, floats.device());
    x = at::zeros({1, c.dim}, floats);
    out = to.defined() ? std::move(to) : at::zeros({1, c.dim}, floats);
    reads = at::zeros({c.groups, 3}, ints);
    blocks = at::zeros({c.groups, c.n}, ints);
    if (with_clocks) clocks = at::zeros({cuda::kStepClocks}, floats.dtype(at::kLong));
    length = at::zeros({1}, ints);
    workspace = at::zeros({workspace_bytes}, floats.dtype(at::kByte));
}

void check_step_cache(const NSAAttention& module, DecodeCache& cache) {
    if (cache.batch() != 1) {
        throw InputError("one-kernel step: it serves one sequence, and the cache holds " +
                         std::to_string(cache.batch()));
    }
    const NsaConfig& c = module.config();
    const at::Tensor& weight = parameter(module, "wq");
    const auto expect = [&](const char* name, KeyValueBuffers& rows) {
        expect_rows(name, rows.k.storage(), c.groups, c.dk, weight);
        expect_rows(name, rows.v.storage(), c.groups, c.dv, weight);
    };
    expect("raw rows", cache.raw());
    expect("compressed rows", cache.cmp());
    expect("rows of the selected branch", cache.sel());
    expect("rows of the window", cache.win());
}

cuda::StepRows step_rows(KeyValueBuffers& buffers) {
    const at::Tensor& k = buffers.k.storage();
    const at::Tensor& v = buffers.v.storage();
    return {.k = k.mutable_data_ptr<float>(),
            .v = v.mutable_data_ptr<float>(),
            .group_stride_k = k.stride(1),
            .group_stride_v = v.stride(1)};
}

cuda::StepParams step_params(const NSAAttention& module, DecodeCache& cache, const cuda::StepShape& shape,
                             const StepBuffers& buffers, bool advance) {
    const std::optional<Branch> forced = module.policy().force_branch;
    const at::Tensor& clocks = buffers.clocks;
    return {.shape = shape,
            .weights = weights_of(module, buffers.turns),
            .raw = step_rows(cache.raw()),
            .cmp = step_rows(cache.cmp()),
            .sel = step_rows(cache.sel()),
            .win = step_rows(cache.win()),
            .length = buffers.length.mutable_data_ptr<int>(),
            .x = buffers.x.const_data_ptr<float>(),
            .out = buffers.out.mutable_data_ptr<float>(),
            .reads = buffers.reads.mutable_data_ptr<int>(),
            .blocks = buffers.blocks.mutable_data_ptr<int>(),
            .workspace = buffers.workspace.mutable_data_ptr(),
            .scale = static_cast<float>(module.config().scale()),
            .forced_branch = forced ? static_cast<int>(*forced) : -1,
            .advance = advance,
            .clocks = clocks.defined() ? reinterpret_cast<long long*>(clocks.mutable_data_ptr<std::int64_t>())
                                       : nullptr};
}

}  // namespace nsa::core
