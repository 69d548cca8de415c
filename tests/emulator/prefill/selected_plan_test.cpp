// What the selection kernels run, and how they are cut.
#include <gtest/gtest.h>

#include "nsa_core/cuda/prefill/selected_plan.hpp"

namespace nsa::core::cuda {
namespace {

PrefillShape paper(int tokens) {
    PrefillShape shape;
    shape.batch = 1;
    shape.heads = 64;
    shape.groups = 4;
    shape.dk = shape.dv = 128;
    shape.max_tokens = tokens;
    shape.tokens = tokens;
    return shape;
}

void expect_refused(const std::optional<std::string>& reason, const std::string& part) {
    ASSERT_TRUE(reason.has_value()) << "a refusal that names " << part;
    EXPECT_NE(reason->find(part), std::string::npos) << *reason;
}

TEST(SelectedPlan, takes_every_width_and_group_on_both_chips) {
    for (const int sm : {80, 90}) {
        for (const auto& [dk, dv] : {std::pair{32, 32}, {64, 64}, {96, 96}, {128, 128}, {192, 128}}) {
            for (const int per_group : {1, 2, 4, 8, 16}) {
                PrefillShape shape = paper(65536);
                shape.dk = dk;
                shape.dv = dv;
                shape.heads = shape.groups * per_group;
                EXPECT_EQ(top_n_unsupported(shape, sm), std::nullopt);
                EXPECT_EQ(selected_unsupported(shape, sm), std::nullopt);
            }
        }
    }
}

TEST(SelectedPlan, a_warpgroup_chooses_blocks_of_the_papers_ratios) {
    EXPECT_EQ(warpgroup_top_n_tokens(16), 8);
    EXPECT_EQ(warpgroup_top_n_tokens(4), 32);
    PrefillShape shape = paper(65536);
    EXPECT_TRUE(warpgroup_top_n_shared_bytes(shape));
    shape.l = 16;
    EXPECT_TRUE(warpgroup_top_n_shared_bytes(shape));
    shape.l = 64;
    EXPECT_FALSE(warpgroup_top_n_shared_bytes(shape)) << "l = 4 d";
    shape = paper(65536);
    shape.dk = shape.dv = 96;
    EXPECT_FALSE(warpgroup_top_n_shared_bytes(shape)) << "half a box";
}

TEST(SelectedPlan, a_warpgroup_chooses_blocks_where_importance_has_the_room) {
    // 64 KiB of keys, 64 bytes of barriers, 8 tokens of 4 bytes a block.
    EXPECT_EQ(warpgroup_top_n_shared_bytes(paper(65536)), 65536 + 64 + 8 * 4 * 1024);
    EXPECT_LE(2 * (65536 + 64 + 8 * 4 * 1024 + 1024), 228 * 1024) << "two thread blocks on a multiprocessor";
    EXPECT_TRUE(warpgroup_top_n_shared_bytes(paper(64 * 5212)));
    EXPECT_FALSE(warpgroup_top_n_shared_bytes(paper(64 * 5212 + 1)));
}

TEST(SelectedPlan, says_what_it_does_not_take) {
    PrefillShape shape = paper(4096);
    shape.dv = 64;
    expect_refused(selected_unsupported(shape, 80), "128 and 64");
    shape = paper(4096);
    shape.heads = 96;
    expect_refused(top_n_unsupported(shape, 80), "H = 96 with G = 4");
    shape = paper(4096);
    shape.n = 33;
    expect_refused(selected_unsupported(shape, 80), "n is 33");
    shape = paper(4096);
    shape.l = 24;
    expect_refused(top_n_unsupported(shape, 80), "l = 24, l' = 64 and d = 16");
    shape = paper(4096);
    shape.n_local = 16;
    expect_refused(top_n_unsupported(shape, 80), "fit into n = 16");
    shape = paper(0);
    expect_refused(selected_unsupported(shape, 80), "the longest has 0");
    shape = paper(4096);
    shape.batch = 65536;
    expect_refused(selected_unsupported(shape, 80), "1 to 65535 sequences, and these are 65536");
}

TEST(SelectedPlan, refuses_sequences_whose_importance_does_not_fit_shared_memory) {
    EXPECT_EQ(top_n_unsupported(paper(262144), 80), std::nullopt);
    expect_refused(top_n_unsupported(paper(300000), 80), "sm_80 gives a thread block");
    EXPECT_EQ(top_n_unsupported(paper(300000), 90), std::nullopt);
    expect_refused(top_n_unsupported(paper(500000), 90), "sm_90 gives a thread block");
    expect_refused(selected_unsupported(paper(4096), 75), "0 bytes of shared memory");
}

TEST(SelectedPlan, rings_are_as_long_as_shared_memory_allows) {
    const int sm_80 = shared_memory_limit(80);
    const int sm_90 = shared_memory_limit(90);
    EXPECT_EQ(plan_selected_forward(paper(4096), sm_80).stages, 5);
    EXPECT_EQ(plan_selected_forward(paper(4096), sm_90).stages, 7);
    EXPECT_EQ(plan_selected_dq(paper(4096), sm_80).stages, 3);
    EXPECT_EQ(plan_selected_dq(paper(4096), sm_90).stages, 5);
    PrefillShape wide = paper(4096);
    wide.dk = 192;
    EXPECT_EQ(plan_selected_forward(wide, sm_80).stages, 4);
    EXPECT_EQ(plan_selected_dq(wide, sm_80).stages, 2);
    for (const int sm : {80, 86, 90}) {
        const int room = shared_memory_limit(sm);
        for (const int dk : {32, 64, 96, 128}) {
            PrefillShape shape = paper(4096);
            shape.dk = shape.dv = dk;
            for (const RingPlan& plan : {plan_selected_forward(shape, room), plan_selected_dq(shape, room)}) {
                if (plan.stages == 0) continue;
                EXPECT_LE(plan.stages, kMaxStages);
                EXPECT_LE(plan.shared_bytes, static_cast<std::size_t>(room));
            }
        }
    }
}

TEST(SelectedPlan, dq_takes_whole_stages_of_keys_where_registers_and_shared_memory_allow_it) {
    const auto keys = [](int dk, int sm) {
        PrefillShape shape = paper(4096);
        shape.dk = dk;
        shape.dv = std::min(dk, 128);
        return plan_selected_dq(shape, shared_memory_limit(sm)).keys;
    };
    for (const int dk : {32, 64, 96, 128}) {
        EXPECT_EQ(keys(dk, 80), 64);
        EXPECT_EQ(keys(dk, 90), 64);
    }
    EXPECT_EQ(keys(64, 86), 64);
    EXPECT_EQ(keys(96, 86), 32);
    EXPECT_EQ(keys(128, 86), 32);
    EXPECT_EQ(keys(192, 90), 32);
    EXPECT_GE(plan_selected_dq(paper(4096), shared_memory_limit(86)).stages, 2)
        << "queries are then in registers";
}

TEST(SelectedPlan, items_are_small_where_there_are_few) {
    EXPECT_EQ(selected_item_tokens(paper(65536), 132), 2048);
    EXPECT_EQ(selected_item_tokens(paper(8192), 132), 512);
    EXPECT_EQ(selected_item_tokens(paper(64), 132), 512);
    EXPECT_EQ(max_items(paper(65536), 2048), 1024 + 512);
    EXPECT_EQ(selected_parts(paper(65536), 2048), std::size_t{4 * 1024} * 64 * 256);
}

// One long document among short ones.
TEST(SelectedPlan, ragged_sequences_take_room_for_their_tokens_not_for_the_longest_of_them_each) {
    const PrefillShape alone = paper(65536);
    PrefillShape ragged = alone;
    ragged.batch = 64;
    ragged.tokens = 65536 + 63 * 64;
    EXPECT_LE(selected_parts(ragged, 2048), selected_parts(alone, 2048) * 11 / 10);
    EXPECT_LE(inverse_counts(ragged), inverse_counts(alone) * 14 / 10) << "a chunk of tokens begins in each";
}

TEST(SelectedPlan, what_stands_one_behind_the_other_does_not_overlap) {
    PrefillShape shape = paper(0);
    shape.n = 3;
    for (const int item_tokens : {7, 64, 512}) {
        std::int64_t first = 0, parts = 0;
        int index = 0;
        for (const int length : {1, 70, 0, 255, 256, 257, 1000, 64}) {
            EXPECT_GE(chunks_before(first + length, index + 1),
                      chunks_before(first, index) + inverse_chunks(length));
            for (int group = 0; group < shape.groups; ++group) {
                const std::int64_t begin =
                    parts_before(shape, item_tokens, tokens_before(shape, first, length, group));
                EXPECT_GE(begin, parts);
                parts = begin + 2 * length * shape.n / item_tokens;  // as many as it can have
            }
            first += length;
            ++index;
        }
        EXPECT_GE(parts_before(shape, item_tokens, first * shape.groups), parts);
    }
}

}  // namespace
}  // namespace nsa::core::cuda
