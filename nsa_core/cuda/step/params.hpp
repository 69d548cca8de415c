// One decode step of the whole layer, projections included, for one sequence in fp32: what the kernel reads
// and writes, as plain values. Device pointers are borrowed; they must stay valid while a launch, or a graph
// that captured one, may run.
#pragma once

#include <cstdint>

namespace nsa::core::cuda {

/// Names follow config.hpp.
struct StepShape {
    int dim = 0;
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
    int gate_hidden = 64;
    int capacity = 0;  // tokens that the caches hold; the step's own included
    bool learnable_compressor = false;
    bool rope = false;
    bool softmax_gate = false;

    bool operator==(const StepShape&) const = default;
    [[nodiscard]] constexpr int max_compressed() const { return capacity < l ? 0 : (capacity - l) / d + 1; }
    [[nodiscard]] constexpr int max_blocks() const { return (capacity + l_sel - 1) / l_sel; }
};

/// The seed project's layer, NsaConfig{}: the shape that has kernels of its own. Capacity and flags are left
/// open.
inline constexpr StepShape kSeedShape{.dim = 256, .heads = 8, .groups = 2, .dk = 32, .dv = 32};

/// Cached rows of one branch: group g begins at k + g * group_stride_k; its rows are contiguous.
struct StepRows {
    float* k = nullptr;               // [G, rows, dk]
    float* v = nullptr;               // [G, rows, dv]
    std::int64_t group_stride_k = 0;  // in floats
    std::int64_t group_stride_v = 0;
};

/// Projections that make cached rows, in the order of the kernel's work list.
enum StepProjection : int {
    kRawKey,
    kRawValue,
    kSelectedKey,
    kSelectedValue,
    kWindowKey,
    kWindowValue,
    kProjections
};

/// Row-major [out, in], as the layer keeps them; 16-byte aligned.
struct StepWeights {
    const float* q = nullptr;              // [H dk, dim]
    const float* rows[kProjections] = {};  // [G dk, dim] and [G dv, dim]
    const float* gate_w1 = nullptr;        // [gate_hidden, dim]
    const float* gate_b1 = nullptr;        // [gate_hidden]
    const float* gate_w2 = nullptr;        // [3 H, gate_hidden], row 3 h + branch
    const float* gate_b2 = nullptr;        // [3 H]
    const float* out = nullptr;            // [dim, H dv]
    const double* half_turns = nullptr;    // [dk/2] rotary frequency / pi per position; null without rope
};

/// The token at position *length is appended to every cache and attends; the compressed token that it
/// completes, if any, is emitted. At *length outside [0, capacity) nothing is appended and the output is NaN.
struct StepParams {
    StepShape shape;
    StepWeights weights;
    StepRows raw, cmp, sel, win;  // raw: what compression reads, a row per token
    int* length = nullptr;        // tokens in the cache before the step
    const float* x = nullptr;     // [dim], 16-byte aligned
    float* out = nullptr;         // [dim]
    int* reads = nullptr;         // [G, 3] keys read in the order cmp, sel, win; null: not wanted
    int* blocks = nullptr;        // [G, n] selected blocks, ascending, -1 behind the last; null: not wanted
    void* workspace = nullptr;    // step_workspace_bytes; zero before the first launch, then left alone
    float scale = 0.0F;           // of the scores: dk^-1/2
    int forced_branch = -1;       // 0, 1, 2: the gate is 1 for cmp, sel or win and 0 elsewhere; -1: learned
    bool advance = false;         // *length grows by one when the step ends
    long long* clocks = nullptr;  // [kStepClocks] of thread 0 of rank 0, see kernel.cuh; null: not wanted
};

inline constexpr int kStepClocks = 12;

}  // namespace nsa::core::cuda
