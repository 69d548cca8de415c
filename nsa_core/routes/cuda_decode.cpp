#include "nsa_core/routes/cuda_decode.hpp"

#include <ATen/ATen.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include <algorithm>
#include <limits>
#include <string>

#include "nsa_core/cuda/decode/decode.hpp"
#include "nsa_core/cuda/decode/plan.hpp"
#include "nsa_core/cuda/device.hpp"
#include "nsa_core/device.hpp"
#include "nsa_core/errors.hpp"

namespace nsa::core {
namespace {

int narrow_int(std::int64_t value) {
    return static_cast<int>(std::min<std::int64_t>(value, std::numeric_limits<int>::max()));
}

cuda::DecodeShape shape_of(const PagedCache& cache) {
    const NsaConfig& c = cache.config();
    return {
        .dtype = cache.sel().k.scalar_type() == at::kBFloat16 ? cuda::HalfType::kBf16 : cuda::HalfType::kFp16,
        .batch = narrow_int(cache.size().batch),
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
        .page_tokens = narrow_int(cache.size().page_tokens),
        .max_tokens = narrow_int(cache.size().max_tokens)};
}

void* data_of(const at::Tensor& tensor) {
    return tensor.defined() ? tensor.mutable_data_ptr() : nullptr;
}

cuda::PagedRows rows_of(const KeysValues& pool) {
    return {.k = data_of(pool.k), .v = data_of(pool.v)};
}

cuda::NewRows new_rows_of(const KeysValues& rows) {
    return {.k = data_of(rows.k), .v = data_of(rows.v)};
}

void check(cudaError_t error, const char* what) {
    TORCH_CHECK(error == cudaSuccess, what, ": ", cudaGetErrorString(error));
}

// A tensor that kernels read or write by its address alone.
void expect(const char* name, const at::Tensor& tensor, at::IntArrayRef shape, at::ScalarType type,
            at::Device device) {
    if (tensor.sizes() == shape && tensor.scalar_type() == type && tensor.device() == device &&
        tensor.is_contiguous()) {
        return;
    }
    throw InputError(c10::str(name, " must be a contiguous tensor ", shape, " of ", type, " on ", device,
                              "; got ", tensor.sizes(), " of ", tensor.scalar_type(), " on ",
                              tensor.device()));
}

}  // namespace

struct CudaDecode::Impl {
    NsaConfig config;
    PagedCacheSize size;
    cuda::DecodeShape shape;
    cuda::DeviceLimits limits;
    cuda::DecodePlan plan;
    at::Tensor workspace;
    at::ScalarType type;
    at::Device device;
    float scale;
};

bool kernels_built() {
    return true;
}

CudaDecode::CudaDecode(const PagedCache& cache) {
    if (const auto reason = unsupported_reason(Route::kCuda, request_for(cache))) throw InputError(*reason);
    const at::Tensor& keys = cache.sel().k;
    const c10::cuda::CUDAGuard on_device{keys.device()};
    cuda::DeviceLimits limits;
    check(cuda::device_limits(keys.device().index(), limits), "the limits of the device");
    const cuda::DecodeShape shape = shape_of(cache);
    if (const auto reason = cuda::decode_unsupported(shape)) throw InputError(*reason);  // the batch too
    const cuda::DecodePlan plan = cuda::plan_decode(shape, limits);
    const auto bytes = static_cast<std::int64_t>(cuda::layout_workspace(shape, plan).bytes);
    impl_ = std::make_unique<Impl>(Impl{.config = cache.config(),
                                        .size = cache.size(),
                                        .shape = shape,
                                        .limits = limits,
                                        .plan = plan,
                                        .workspace = at::empty({bytes}, keys.options().dtype(at::kByte)),
                                        .type = keys.scalar_type(),
                                        .device = keys.device(),
                                        .scale = static_cast<float>(cache.config().scale())});
}

CudaDecode::~CudaDecode() = default;
CudaDecode::CudaDecode(CudaDecode&&) noexcept = default;
CudaDecode& CudaDecode::operator=(CudaDecode&&) noexcept = default;

at::Tensor CudaDecode::workspace() const {
    return impl_->workspace;
}

std::string CudaDecode::plan_text() const {
    return "splits " + std::to_string(impl_->plan.splits) + ", cluster " +
           std::to_string(impl_->plan.cluster) + ", sm_" + std::to_string(impl_->limits.sm);
}

void CudaDecode::step(const PagedStepInputs& in, const PagedCache& cache, const PagedStepOutputs& out,
                      cuda::DecodePart part) {
    const cuda::DecodeShape& s = impl_->shape;
    const at::ScalarType type = impl_->type;
    const at::Device device = impl_->device;
    expect("q", in.q, {s.batch, s.heads, s.dk}, type, device);
    expect("gates", in.gates, {s.batch, s.heads, 3}, type, device);
    const auto expect_rows = [&](const char* name, const KeysValues& rows) {
        expect(name, rows.k, {s.batch, s.groups, s.dk}, type, device);
        expect(name, rows.v, {s.batch, s.groups, s.dv}, type, device);
    };
    expect_rows("the raw row", in.raw);
    expect_rows("the selected branch's row", in.sel);
    expect_rows("the window's row", in.win);
    expect("out", out.out, {s.batch, s.heads, s.dv}, type, device);
    if (out.blocks.defined()) expect("blocks", out.blocks, {s.batch, s.groups, s.n}, at::kInt, device);
    if (out.reads.defined()) expect("reads", out.reads, {s.batch, s.groups, 3}, at::kInt, device);
    if (cache.config() != impl_->config || cache.size() != impl_->size)
        throw InputError("the cache differs in shape from the one that the step was made for");

    const c10::cuda::CUDAGuard on_device{device};
    const cuda::DecodeParams params{
        .shape = s,
        .q = data_of(in.q),
        .gates = data_of(in.gates),
        .position = cache.position().const_data_ptr<int>(),
        .page_table = cache.page_table().const_data_ptr<int>(),
        .page_stride = narrow_int(cache.page_table().size(1)),
        .raw = {.k = data_of(cache.raw().k), .v = data_of(cache.raw().v)},
        .cmp = rows_of(cache.cmp()),
        .sel = rows_of(cache.sel()),
        .win = rows_of(cache.win()),
        .new_cmp = new_rows_of(in.raw),
        .new_sel = new_rows_of(in.sel),
        .new_win = new_rows_of(in.win),
        .out = data_of(out.out),
        .blocks = static_cast<int*>(data_of(out.blocks)),
        .reads = static_cast<int*>(data_of(out.reads)),
        .workspace = data_of(impl_->workspace),
        .scale = impl_->scale,
    };
    const cudaStream_t stream = c10::cuda::getCurrentCUDAStream(device.index());
    check(cuda::launch_decode(params, impl_->plan, stream, part), "the decode step");
}

}  // namespace nsa::core
