#include "nsa_core/routes/decode_params.hpp"

#include <ATen/ATen.h>

#include <cstdint>
#include <limits>
#include <string>

#include "nsa_core/errors.hpp"

namespace nsa::core {
namespace {

void* data_of(const at::Tensor& tensor) {
    return tensor.defined() ? tensor.mutable_data_ptr() : nullptr;
}

cuda::PagedRows rows_of(const KeysValues& pool) {
    return {.k = data_of(pool.k), .v = data_of(pool.v)};
}

cuda::NewRows new_rows_of(const KeysValues& rows) {
    return {.k = data_of(rows.k), .v = data_of(rows.v)};
}

// A tensor that kernels read or write by its address alone, 16 bytes at a time.
void expect(const char* name, const at::Tensor& tensor, at::IntArrayRef shape, at::ScalarType type,
            at::Device device) {
    if (tensor.sizes() == shape && tensor.scalar_type() == type && tensor.device() == device &&
        tensor.is_contiguous()) {
        if (reinterpret_cast<std::uintptr_t>(tensor.const_data_ptr()) % 16 == 0) return;
        throw InputError(std::string{name} + " must begin at a multiple of 16 bytes");
    }
    throw InputError(c10::str(name, " must be a contiguous tensor ", shape, " of ", type, " on ", device,
                              "; got ", tensor.sizes(), " of ", tensor.scalar_type(), " on ", tensor.device(),
                              " with strides ", tensor.strides()));
}

void expect_cache(const cuda::DecodeShape& s, const PagedCache& cache, at::ScalarType type,
                  at::Device device) {
    const std::int64_t pages = cache.size().pages;
    if (pages * s.groups > std::numeric_limits<std::int32_t>::max() / s.page_tokens) {
        throw InputError("route cuda counts the rows of a pool in 32 bits, and " + std::to_string(pages) +
                         " pages of " + std::to_string(s.page_tokens) + " tokens for " +
                         std::to_string(s.groups) + " groups are more");
    }
    const auto expect_pool = [&](const char* name, const KeysValues& pool, std::int64_t count,
                                 std::int64_t rows) {
        expect(name, pool.k, {count, s.groups, rows, s.dk}, type, device);
        expect(name, pool.v, {count, s.groups, rows, s.dv}, type, device);
    };
    expect_pool("the cache's raw rows", cache.raw(), s.batch, s.l);
    expect_pool("the cache's compressed rows", cache.cmp(), pages, s.page_tokens / s.d);
    expect_pool("the cache's rows of the selected branch", cache.sel(), pages, s.page_tokens);
    expect_pool("the cache's rows of the window", cache.win(), pages, s.page_tokens);
    expect("the cache's positions", cache.position(), {s.batch}, at::kInt, device);
    expect("the cache's page table", cache.page_table(),
           {s.batch, (static_cast<std::int64_t>(s.max_tokens) + s.page_tokens - 1) / s.page_tokens}, at::kInt,
           device);
}

}  // namespace

cuda::DecodeParams decode_params(const cuda::DecodeShape& shape, const PagedStepInputs& in,
                                 const PagedCache& cache, const PagedStepOutputs& out,
                                 const at::Tensor& workspace) {
    const cuda::DecodeShape& s = shape;
    const at::ScalarType type = s.dtype == cuda::HalfType::kBf16 ? at::kBFloat16 : at::kHalf;
    const at::Device device = workspace.device();
    expect_cache(s, cache, type, device);
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
    return {
        .shape = s,
        .q = data_of(in.q),
        .gates = data_of(in.gates),
        .position = cache.position().const_data_ptr<int>(),
        .page_table = cache.page_table().const_data_ptr<int>(),
        .page_stride = static_cast<int>(cache.page_table().size(1)),
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
        .workspace = data_of(workspace),
        .scale = static_cast<float>(cache.config().scale()),
    };
}

}  // namespace nsa::core
