// One problem of the selected branch, and what the kernels make of it on the emulator.
#pragma once

#include "emulator/prefill/numbers.hpp"
#include "nsa_core/cuda/prefill/path.hpp"

namespace nsa::prefill_test {

struct SelectedCase {
    std::string name;
    PrefillShape shape;
    Batch batch;
    bool head_major = false;  // [B, H, S, width] in place of [B, S, H, width]
    double size = 1.0;        // of queries and keys
    bool gates = false;
    int item_tokens = 0;                                         // of the inverse lists; 0: as planned
    bool add_to_d_q = false;                                     // to rows that hold 1
    int stages = 0;                                              // of the ring; 0: as planned
    core::cuda::KernelPath path = core::cuda::KernelPath::kMma;  // of dK and dV
    int sm = 80;  // of the chip whose shared memory the ring is planned for
};

void PrintTo(const SelectedCase& c, std::ostream* out);

/// Shape and batch of a case, the selection as given.
PrefillShape selected_shape(const Batch& batch, int heads, int groups, int dk, int dv, int l_sel, int n,
                            core::cuda::HalfType dtype = core::cuda::HalfType::kBf16);

/// Its own block, the first one, and others at random: up to n of those that a token sees. Token 2 of the
/// first sequence selects nothing.
Lists random_lists(const SelectedCase& c, Numbers& numbers);

/// The inverse: [sequences, G, blocks] ascending tokens, by plain loops.
Lists inverse_lists(const SelectedCase& c, const Lists& lists);

struct SelectedResults {
    Results results;
    std::vector<float> lse;
    Lists inverse;
};

/// Runs forward, inverse lists and both backward kernels with this order of threads. delta is made from the
/// forward's rounded output.
SelectedResults run_selected(const SelectedCase& c, const Inputs& inputs, const Lists& lists,
                             std::uint64_t seed);

}  // namespace nsa::prefill_test
