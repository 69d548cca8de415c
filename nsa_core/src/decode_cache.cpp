#include "nsa_core/decode_cache.hpp"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <string>

#include "nsa_core/errors.hpp"
#include "nsa_core/geometry.hpp"

namespace nsa::core {
namespace {

KeyValueBuffers make_buffers(const NsaConfig& c, std::int64_t batch, std::int64_t capacity,
                             const at::TensorOptions& options) {
    return {.k = RowBuffer{batch, c.groups, c.dk, capacity, options},
            .v = RowBuffer{batch, c.groups, c.dv, capacity, options}};
}

std::int64_t checked_capacity(std::int64_t batch, std::int64_t capacity) {
    if (batch >= 1 && capacity >= 1) return capacity;
    throw InputError("decode cache: batch " + std::to_string(batch) + " and capacity " +
                     std::to_string(capacity) + " must be at least 1");
}

}  // namespace

RowBuffer::RowBuffer(std::int64_t batch, std::int64_t groups, std::int64_t width, std::int64_t capacity,
                     at::TensorOptions options)
    : storage_(at::empty({batch, groups, capacity, width}, options)) {}

void RowBuffer::append(const at::Tensor& rows) {
    const at::NoGradGuard no_grad;
    const std::int64_t needed = length_ + rows.size(2);
    if (needed > storage_.size(2)) reserve(std::max(needed, 2 * storage_.size(2)));
    storage_.narrow(2, length_, rows.size(2)).copy_(rows);
    length_ = needed;
}

void RowBuffer::reserve(std::int64_t capacity) {
    if (capacity <= storage_.size(2)) return;
    const at::Tensor larger =
        at::empty({storage_.size(0), storage_.size(1), capacity, storage_.size(3)}, storage_.options());
    larger.narrow(2, 0, length_).copy_(rows());
    storage_ = larger;
}

void RowBuffer::extend_to(std::int64_t length) {
    if (length < length_ || length > storage_.size(2)) {
        throw InputError("decode cache: cannot extend " + std::to_string(length_) + " rows to " +
                         std::to_string(length) + " in room for " + std::to_string(storage_.size(2)));
    }
    length_ = length;
}

void RowBuffer::truncate(std::int64_t length) {
    length_ = std::min(length_, length);
}

at::Tensor RowBuffer::rows() const {
    return storage_.narrow(2, 0, length_);
}

at::Tensor RowBuffer::last(std::int64_t count) const {
    return storage_.narrow(2, length_ - count, count);
}

DecodeCache::DecodeCache(const NsaConfig& config, std::int64_t batch, std::int64_t capacity,
                         at::TensorOptions options)
    : config_(config),
      batch_(batch),
      raw_(make_buffers(config, batch, checked_capacity(batch, capacity), options)),
      cmp_(make_buffers(config, batch, std::max<std::int64_t>(compressed_count(capacity, config), 1),
                        options)),
      sel_(make_buffers(config, batch, capacity, options)),
      win_(make_buffers(config, batch, capacity, options)) {}

void DecodeCache::truncate(std::int64_t length) {
    if (length < 0 || length > this->length()) {
        throw InputError("decode cache: cannot truncate " + std::to_string(this->length()) + " tokens to " +
                         std::to_string(length));
    }
    for (KeyValueBuffers* buffers : {&raw_, &sel_, &win_}) {
        buffers->k.truncate(length);
        buffers->v.truncate(length);
    }
    cmp_.k.truncate(compressed_count(length, config_));
    cmp_.v.truncate(compressed_count(length, config_));
}

void DecodeCache::reserve(std::int64_t capacity) {
    for (KeyValueBuffers* buffers : {&raw_, &sel_, &win_})
        buffers->reserve(capacity);
    cmp_.reserve(compressed_count(capacity, config_));
}

void DecodeCache::extend_to(std::int64_t length) {
    for (KeyValueBuffers* buffers : {&raw_, &sel_, &win_})
        buffers->extend_to(length);
    cmp_.extend_to(compressed_count(length, config_));
}

}  // namespace nsa::core
