// One decode step of NSA attention over a paged cache, as plain values: what the kernels read and write.
// Device pointers are borrowed for the length of the step. No Torch here, nor anywhere in nsa_core/cuda.
#pragma once

#include <cstddef>
#include <cstdint>

#include "nsa_core/cuda/half_type.hpp"

namespace nsa::core::cuda {

/// Shapes and options, the same for every sequence of the batch. Names follow config.hpp.
struct DecodeShape {
    HalfType dtype = HalfType::kBf16;
    int batch = 0;
    int heads = 0;   // H
    int groups = 0;  // G; head h belongs to group h / (H/G)
    int dk = 0;
    int dv = 0;
    int l = 32;
    int d = 16;
    int l_sel = 64;
    int n = 16;
    int n_initial = 1;
    int n_local = 2;
    int w = 512;
    int page_tokens = 64;  // tokens of a page, a multiple of l_sel
    int max_tokens = 0;    // no sequence is longer, the token of this step included

    [[nodiscard]] constexpr int heads_per_group() const { return heads / groups; }
    [[nodiscard]] constexpr int max_compressed() const {
        return max_tokens < l ? 0 : (max_tokens - l) / d + 1;
    }
    [[nodiscard]] constexpr int max_blocks() const { return (max_tokens + l_sel - 1) / l_sel; }
};

/// Keys and values of one branch. Page p holds `rows` rows of every group: k [pages, G, rows, dk] and
/// v [pages, G, rows, dv]; rows = page_tokens, and page_tokens / d for the compressed branch.
struct PagedRows {
    void* k = nullptr;
    void* v = nullptr;
};

/// The last l raw keys and values of the compressed branch, the input of the next compressed token: token t
/// is row t mod l of k [B, G, l, dk] and v [B, G, l, dv].
struct RawRing {
    void* k = nullptr;
    void* v = nullptr;
};

/// Rows of the step's own token, k [B, G, dk] and v [B, G, dv].
struct NewRows {
    const void* k = nullptr;
    const void* v = nullptr;
};

/// The step appends `position[b]` to sequence b, emits the compressed token that it completes, and attends.
/// A negative position marks an idle slot: nothing is written to the caches, and its output is 0. One of
/// max_tokens or more, or one whose page is -1, is a fault of the caller that must not pass for a result: the
/// same, with NaN for 0.
struct DecodeParams {
    DecodeShape shape;
    const void* q = nullptr;          // [B, H, dk]
    const void* gates = nullptr;      // [B, H, 3] in the order cmp, sel, win, dtype of q
    const int* position = nullptr;    // [B], the step's token: the tokens already in the cache
    const int* page_table = nullptr;  // [B, page_stride]; pages that hold no token up to it are not read
    int page_stride = 0;
    RawRing raw;
    PagedRows cmp, sel, win;
    NewRows new_cmp, new_sel, new_win;
    void* out = nullptr;        // [B, H, dv]
    int* blocks = nullptr;      // [B, G, n] ascending, -1 behind the last; null: not wanted
    int* reads = nullptr;       // [B, G, 3] keys that were read, cmp, sel, win, ADDED to; null: not counted
    void* workspace = nullptr;  // workspace_bytes(shape, plan), 256-byte aligned; holds nothing between steps
    float scale = 0.0F;         // of the scores; dk^-1/2 in the paper
};

/// Which parts of the step a launch performs: all of them in one step, one at a time when each is timed.
enum class DecodePart : std::uint8_t {
    kAll,
    kCompressed,  // compressed token, scores, partial outputs
    kSelected,    // importance, top-n and the selected blocks; reads what kCompressed left in the workspace
    kSliding,
};

}  // namespace nsa::core::cuda
