// What the tests of the forward and of the backward by warpgroups share.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <string>

#include "emulator/prefill/dense_case.hpp"

namespace nsa::prefill_test {

/// The case by warpgroups, at their narrowest width in place of the default, on a device so small that a
/// thread block has several query tiles.
inline DenseCase of_warpgroups(DenseCase c, int multiprocessors) {
    c.path = core::cuda::KernelPath::kWarpgroup;
    if (c.dk == 32) c.dk = c.dv = 64;
    c.multiprocessors = multiprocessors;
    return c;
}

/// expect(case) in both branches.
template <class Expect>
void in_both_branches(DenseCase c, Expect expect) {
    using core::cuda::DenseBranch;
    for (const DenseBranch branch : {DenseBranch::kWindow, DenseBranch::kCompressed}) {
        SCOPED_TRACE(branch == DenseBranch::kWindow ? "window" : "compressed");
        c.branch = branch;
        expect(c);
    }
}

/// expect(case) writes the same bits in any order of threads, by any number of thread blocks.
template <class Expect>
void expect_same_bits(const DenseCase& c, Expect expect) {
    in_both_branches(c, [&](DenseCase run) {
        run.seed = 0;
        run.multiprocessors = 132;
        const Written first = expect(run);
        for (const std::uint64_t seed : {1, 2, 3}) {
            SCOPED_TRACE("schedule " + std::to_string(seed));
            run.seed = seed;
            run.multiprocessors = static_cast<int>(seed);
            EXPECT_EQ(expect(run), first);
        }
    });
}

}  // namespace nsa::prefill_test
