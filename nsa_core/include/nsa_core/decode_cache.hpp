// Keys and values that decoding keeps, per branch. Values on a device; the length lives on the host.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "nsa_core/config.hpp"

namespace nsa::core {

/// Rows [B,G,capacity,c] that grow at the end; capacity doubles when it is exhausted.
class RowBuffer {
  public:
    RowBuffer(std::int64_t batch, std::int64_t groups, std::int64_t width, std::int64_t capacity,
              at::TensorOptions options);

    void append(const at::Tensor& rows);  // [B,G,any,c]
    void truncate(std::int64_t length);   // forgets the rows from `length` on
    void reserve(std::int64_t capacity);  // the storage stays where it is until `capacity` rows are exceeded
    void extend_to(std::int64_t length);  // rows up to `length` were written into the storage by a kernel
    [[nodiscard]] std::int64_t length() const { return length_; }
    [[nodiscard]] at::Tensor rows() const;  // [B,G,length,c], a view
    [[nodiscard]] at::Tensor last(std::int64_t count) const;
    [[nodiscard]] const at::Tensor& storage() const { return storage_; }  // [B,G,capacity,c]

  private:
    at::Tensor storage_;
    std::int64_t length_ = 0;
};

struct KeyValueBuffers {
    RowBuffer k;
    RowBuffer v;

    void append(const at::Tensor& k_rows, const at::Tensor& v_rows) {
        k.append(k_rows);
        v.append(v_rows);
    }
    void reserve(std::int64_t capacity) {
        k.reserve(capacity);
        v.reserve(capacity);
    }
    void extend_to(std::int64_t length) {
        k.extend_to(length);
        v.extend_to(length);
    }
};

/// State of one decoded batch. A step appends one token per branch; every d tokens, once l are there, the
/// module appends one compressed token. All sequences of the batch have the same length.
class DecodeCache {
  public:
    /// Room for `capacity` tokens before the first growth.
    DecodeCache(const NsaConfig& config, std::int64_t batch, std::int64_t capacity,
                at::TensorOptions options);

    [[nodiscard]] std::int64_t batch() const { return batch_; }
    [[nodiscard]] std::int64_t length() const { return sel_.k.length(); }  // tokens seen
    [[nodiscard]] std::int64_t compressed() const { return cmp_.k.length(); }

    /// Forgets all tokens from `length` on, so that a step can be repeated at the same position.
    void truncate(std::int64_t length);

    /// For kernels that append by themselves: room for `capacity` tokens at addresses that stay, and then the
    /// new length, after the kernel was sent to write the rows up to it, compressed ones included.
    void reserve(std::int64_t capacity);
    void extend_to(std::int64_t length);

    [[nodiscard]] KeyValueBuffers& raw() {
        return raw_;
    }  // compression's input, all of it: truncate needs it
    [[nodiscard]] KeyValueBuffers& cmp() { return cmp_; }  // compressed rows
    [[nodiscard]] KeyValueBuffers& sel() { return sel_; }
    [[nodiscard]] KeyValueBuffers& win() { return win_; }

  private:
    NsaConfig config_;
    std::int64_t batch_;
    KeyValueBuffers raw_;
    KeyValueBuffers cmp_;
    KeyValueBuffers sel_;
    KeyValueBuffers win_;
};

}  // namespace nsa::core
