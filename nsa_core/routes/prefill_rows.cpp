#include "nsa_core/routes/prefill_rows.hpp"

#include <ATen/ATen.h>

namespace nsa::core {
namespace {

constexpr std::int64_t kElements = 8;  // of 16 bytes
constexpr std::uintptr_t kAlignment = 16;

// The stride of a dimension that is never moved along may be anything.
std::int64_t stride_of(const at::Tensor& rows, std::int64_t dimension) {
    return rows.size(dimension) <= 1 ? 0 : rows.stride(dimension);
}

}  // namespace

bool readable_rows(const at::Tensor& rows) {
    const bool aligned = reinterpret_cast<std::uintptr_t>(rows.const_data_ptr()) % kAlignment == 0;
    return rows.stride(3) == 1 && aligned && stride_of(rows, 0) % kElements == 0 &&
           stride_of(rows, 1) % kElements == 0 && stride_of(rows, 2) % kElements == 0;
}

at::Tensor readable(const at::Tensor& rows) {
    if (readable_rows(rows)) return rows;
    // A contiguous view of memory that is not aligned would be taken for its own copy.
    return rows.transpose(1, 2).clone(at::MemoryFormat::Contiguous).transpose(1, 2);
}

KeysValues readable(const KeysValues& rows) {
    return {.k = readable(rows.k), .v = readable(rows.v)};
}

cuda::ConstRows rows_of(const at::Tensor& rows) {
    return {rows.const_data_ptr(), stride_of(rows, 0), stride_of(rows, 1), stride_of(rows, 2)};
}

cuda::Rows result_rows(const at::Tensor& rows) {
    return {.data = rows.mutable_data_ptr(),
            .batch = stride_of(rows, 0),
            .head = stride_of(rows, 1),
            .token = stride_of(rows, 2)};
}

}  // namespace nsa::core
