// What the prefill kernels take, which keys a query sees, and how the backward is cut.
#include <gtest/gtest.h>

#include "nsa_core/cuda/prefill/interval.hpp"
#include "nsa_core/cuda/prefill/plan.hpp"
#include "nsa_core/cuda/prefill/selected_plan.hpp"
#include "nsa_core/cuda/prefill/widths.hpp"
#include "nsa_core/routes.hpp"

namespace nsa::core::cuda {
namespace {

PrefillShape shape_of(int tokens) {
    return {
        .batch = 1, .heads = 64, .groups = 4, .dk = 128, .dv = 128, .max_tokens = tokens, .tokens = tokens};
}

// Key i of the window is token i; compressed row i covers [i d, i d + l).
bool sees(const PrefillShape& s, DenseBranch branch, int t, int key) {
    if (branch == DenseBranch::kWindow) return key <= t && t - key < s.w;
    return key * s.d + s.l <= t + 1;
}

TEST(PrefillInterval, keys_of_a_token_and_tokens_of_a_key_agree_with_the_definition) {
    for (const DenseBranch branch : {DenseBranch::kWindow, DenseBranch::kCompressed})
        for (const auto& [l, d, w] : {std::tuple{1, 1, 1}, {4, 2, 7}, {5, 3, 64}, {3, 5, 1 << 30}}) {
            SCOPED_TRACE("l " + std::to_string(l) + ", d " + std::to_string(d) + ", w " + std::to_string(w));
            constexpr int kTokens = 90;
            PrefillShape shape = shape_of(kTokens);
            shape.l = l;
            shape.d = d;
            shape.w = w;
            const KeyInterval interval = key_interval(shape, branch);
            const int keys = branch == DenseBranch::kWindow ? kTokens : shape.compressed_of(kTokens);
            for (int key = 0; key < keys; ++key) {
                const Interval seeing = interval.tokens_seeing(key, std::min(key + 8, keys), kTokens);
                for (int t = 0; t < kTokens; ++t) {
                    const Interval seen = interval.of(t);
                    EXPECT_EQ(key >= seen.first && key < seen.last, sees(shape, branch, t, key));
                    bool any = false;
                    for (int k = key; k < std::min(key + 8, keys); ++k)
                        any = any || sees(shape, branch, t, k);
                    EXPECT_EQ(t >= seeing.first && t < seeing.last, any) << "token " << t << ", key " << key;
                }
            }
        }
}

TEST(PrefillPlan, shapes_that_the_kernels_do_not_take_are_refused_with_the_reason) {
    EXPECT_EQ(prefill_unsupported(shape_of(4096)), std::nullopt);
    const auto reason = [](auto change) {
        PrefillShape shape = shape_of(4096);
        change(shape);
        return prefill_unsupported(shape).value_or("none");
    };
    EXPECT_EQ(reason([](PrefillShape& s) { s.dv = 64; }),
              "the prefill kernels take heads with dk = dv of 32, 64, 96 or 128, or dk = 192 with dv = 128, "
              "and these are "
              "128 and 64");
    EXPECT_EQ(
        reason([](PrefillShape& s) { s.heads = 12; }),
        "the prefill kernels take 1, 2, 4, 8 or 16 heads in a group, and H = 12 with G = 4 is none of them");
    EXPECT_EQ(reason([](PrefillShape& s) { s.batch = 0; }),
              "the prefill kernels take 1 to 65535 sequences, and these are 0");
    EXPECT_EQ(reason([](PrefillShape& s) { s.d = 0; }),
              "the prefill kernels take l, d and w from 1 up, and these are 32, 0 and 512");
    EXPECT_EQ(
        reason([](PrefillShape& s) { s.max_tokens = 1 << 27; }),
        "the prefill kernels take up to 2^31 - 1 rows in a sequence, and S = 134217728 with H = 64 and G = 4 "
        "are more");
    EXPECT_EQ(reason([](PrefillShape& s) { s.batch = 65535, s.max_tokens = 1 << 20; }),
              "the prefill kernels take up to 2^30 tiles of 128 rows, those of the longest sequence for each "
              "sequence and group; 65535 sequences of up to 1048576 tokens have 34359214080");
    EXPECT_EQ(reason([](PrefillShape& s) { s.batch = 2048, s.max_tokens = 1 << 20; }), "none");
}

TEST(PrefillPlan, tokens_are_shared_out_where_keys_alone_do_not_fill_the_device) {
    const DeviceLimits h200{.sm = 90, .multiprocessors = 132};
    const auto splits = [&](int tokens, DenseBranch branch) {
        return plan_dense_backward(shape_of(tokens), branch, h200).splits;
    };
    EXPECT_EQ(splits(65536, DenseBranch::kWindow), 1);  // 4096 tiles of keys
    EXPECT_GT(splits(1024, DenseBranch::kWindow), 1);   // 64
    EXPECT_EQ(splits(65536, DenseBranch::kCompressed), 12);
    EXPECT_EQ(splits(4096, DenseBranch::kCompressed), 24);
    EXPECT_EQ(splits(16, DenseBranch::kCompressed), 1);  // no compressed token at all
    for (const int tokens : {1, 64, 512, 8192, 262144})
        for (const DenseBranch branch : {DenseBranch::kWindow, DenseBranch::kCompressed}) {
            EXPECT_GE(splits(tokens, branch), 1);
            EXPECT_LE(splits(tokens, branch), 32);
        }
}

TEST(PrefillPlan, only_shares_need_room) {
    PrefillShape shape = shape_of(1024);
    shape.compressed = 63;
    EXPECT_EQ(dense_partials(shape, DenseBranch::kWindow, {.splits = 1}), 0U);
    EXPECT_EQ(dense_partials(shape, DenseBranch::kCompressed, {.splits = 2}), 2U * 63 * 4 * 256);
    EXPECT_EQ(dense_partials(shape, DenseBranch::kWindow, {.splits = 3}), 3U * 1024 * 4 * 256);
}

// Chips, the code that runs on each (sm_90's on 9.0, else that of 8.0 or its PTX), and what a thread block
// has.
struct Chip {
    int sm;
    int code;
    int kib;
};
constexpr Chip kChips[]{{80, 80, 163}, {86, 80, 99},   {87, 80, 163},  {89, 80, 99},  {90, 90, 227},
                        {90, 80, 227}, {100, 80, 227}, {110, 80, 227}, {120, 80, 99}, {121, 80, 99}};

TEST(PrefillPlan, rings_fit_the_device_wherever_the_chooser_takes_the_shape) {
    int taken = 0;
    for (const Chip& chip : kChips)
        for (const HeadWidths& widths : kHeadWidths) {
            SCOPED_TRACE("sm_" + std::to_string(chip.sm) + ", code of " + std::to_string(chip.code) +
                         ", dk " + std::to_string(widths.dk));
            RouteRequest request{.branch = Branch::kSelected,
                                 .dtype = DType::kBf16,
                                 .cuda = true,
                                 .sm = chip.sm,
                                 .kernels = true,
                                 .length = 4096};
            request.config.dk = widths.dk;
            request.config.dv = widths.dv;
            if (unsupported_reason(Route::kCuda, request)) continue;
            ++taken;
            PrefillShape shape = shape_of(4096);
            shape.dk = widths.dk;
            shape.dv = widths.dv;
            const int device = chip.kib * 1024;
            const DeviceLimits limits = limits_of(chip.sm, chip.code, /*multiprocessors=*/1, device);
            for (const RingPlan& ring : {plan_selected_forward(shape, limits.shared_bytes),
                                         plan_selected_dq(shape, limits.shared_bytes)}) {
                EXPECT_GE(ring.stages, 2);
                EXPECT_LE(ring.shared_bytes, static_cast<std::size_t>(device));
            }
        }
    EXPECT_EQ(taken, 5 * 10 - 4) << "all but dk = 192 where a thread block has 99 KiB";
}

TEST(PrefillPlan, code_for_a_chip_is_planned_alike_on_a_newer_one_that_has_the_room) {
    for (const Chip& chip : kChips) {
        SCOPED_TRACE(chip.sm);
        const int device = chip.kib * 1024;
        EXPECT_EQ(shared_memory_limit(chip.sm), device);
        const DeviceLimits limits = limits_of(chip.sm, chip.code, 132, device);
        EXPECT_EQ(limits.sm, chip.code);
        EXPECT_EQ(limits.shared_bytes, std::min(shared_memory_limit(chip.code), device));
    }
    EXPECT_EQ(shared_memory_limit(75), 0);
    EXPECT_EQ(shared_memory_limit(130), 99 * 1024) << "the least, of a chip that is not known";
}

}  // namespace
}  // namespace nsa::core::cuda
