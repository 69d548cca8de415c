// What tests of route cuda go through, on a GPU and on the emulator, and how a decode step is judged there.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <iterator>
#include <string>

#include "nsa_core/parity/step_check.hpp"

namespace nsa::core::test {

struct Widths {
    std::int64_t dk;
    std::int64_t dv;
};
inline constexpr Widths kWidths[] = {{32, 32}, {64, 64}, {96, 96}, {128, 128}, {192, 128}};
inline constexpr DType kTypes[] = {DType::kBf16, DType::kFp16};

// "bf16_dk64_dv64"
inline std::string name_of(DType dtype, const Widths& widths) {
    return std::string{name(dtype)} + "_dk" + std::to_string(widths.dk) + "_dv" + std::to_string(widths.dv);
}

inline void expect_clean(const parity::StepCase& c, const parity::StepReport& r) {
    EXPECT_LE(r.bound_ratio, 1) << "max error " << r.error.max_abs << " at sequence "
                                << (r.error.worst_index.empty() ? -1 : r.error.worst_index.front());
    EXPECT_EQ(r.error.nan_count, 0);
    EXPECT_EQ(r.selection_faults, 0) << r.selection_ties << " ties";
    EXPECT_EQ(r.reads_mismatches, 0);
    EXPECT_EQ(r.canary_hits, 0);
    EXPECT_EQ(r.cache_faults, 0);
    EXPECT_EQ(r.compressed_faults, 0);
    EXPECT_EQ(r.idle_faults, 0);
    EXPECT_EQ(r.rerun_differences, 0);
    // A tie is rounding: more than a few among random scores would be a fault in the importance. Among scores
    // that are all but equal, or that vanish in fp32, it is no wonder.
    if (c.data == parity::StepData::kNormal) {
        EXPECT_LE(r.selection_ties, 1 + std::ssize(c.positions) * c.config.groups / 10);
    }
    EXPECT_TRUE(r.clean());
}

}  // namespace nsa::core::test
