// Configuration faults and the counting of blocks and reads. No Torch.
#include "nsa_core/config.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "nsa_core/errors.hpp"
#include "nsa_core/geometry.hpp"

namespace nsa::core {
namespace {

using testing::HasSubstr;

TEST(Config, the_defaults_are_the_papers_and_valid) {
    const NsaConfig c;
    EXPECT_TRUE(faults(c).empty());
    EXPECT_EQ(c.l, 32);
    EXPECT_EQ(c.d, 16);
    EXPECT_EQ(c.l_sel, 64);
    EXPECT_EQ(c.n, 16);
    EXPECT_EQ(c.n_initial, 1);
    EXPECT_EQ(c.n_local, 2);
    EXPECT_EQ(c.w, 512);
}

TEST(Config, each_fault_names_the_field_and_its_value) {
    struct Bad {
        void (*change)(NsaConfig&);
        const char* message;
    };
    const Bad cases[] = {
        {[](NsaConfig& c) { c.l = 40; }, "d = 16 does not divide l = 40"},
        {[](NsaConfig& c) { c.l_sel = 72; }, "d = 16 does not divide l_sel = 72"},
        {[](NsaConfig& c) { c.groups = 3; }, "groups = 3 does not divide heads = 8"},
        {[](NsaConfig& c) { c.w = 0; }, "w is 0; it must be at least 1"},
        {[](NsaConfig& c) { c.dv = -4; }, "dv is -4"},
        {[](NsaConfig& c) { c.n = 2; }, "3 forced blocks do not fit into n = 2"},
        {[](NsaConfig& c) { c.n_local = 0; }, "n_local is 0"},
        {[](NsaConfig& c) { c.n_initial = -1; }, "n_initial is -1"},
        {[](NsaConfig& c) { c.rope = true, c.dk = 33; }, "rope needs an even dk"},
        {[](NsaConfig& c) { c.rope_base = 1.0; }, "rope_base is 1"},
    };
    for (const Bad& bad : cases) {
        NsaConfig c;
        bad.change(c);
        ASSERT_EQ(faults(c).size(), 1U) << bad.message;
        EXPECT_THAT(faults(c).front(), HasSubstr(bad.message));
        EXPECT_THROW(validate(c), InputError);
    }
}

TEST(Config, several_faults_are_reported_at_once) {
    NsaConfig c;
    c.d = 24;
    c.groups = 3;
    EXPECT_EQ(faults(c).size(), 3U) << "d divides neither l nor l_sel, and groups not heads";
}

TEST(Geometry, a_compressed_token_is_seen_when_its_last_raw_token_is) {
    const NsaConfig c;  // l = 32, d = 16
    EXPECT_EQ(compressed_count(0, c), 0);
    EXPECT_EQ(compressed_count(17, c), 0) << "an integer division of a negative would say 1";
    EXPECT_EQ(compressed_count(31, c), 0);
    EXPECT_EQ(compressed_count(32, c), 1);
    EXPECT_EQ(compressed_count(47, c), 1);
    EXPECT_EQ(compressed_count(48, c), 2);
    EXPECT_EQ(compressed_count(2048, c), 127);
}

TEST(Geometry, overlap_weights_at_the_defaults_are_1_2_2_2_1) {
    const NsaConfig c;
    const std::int64_t expected[] = {0, 1, 2, 2, 2, 1, 0};
    for (std::int64_t i = 0; i < 7; ++i)
        EXPECT_EQ(overlap_weight(i + 6, 2, c), expected[i]) << "token " << i + 6;
}

TEST(Geometry, expected_reads_follow_the_formula) {
    const NsaConfig c;
    EXPECT_EQ(expected_reads(0, c), (Reads{.cmp = 0, .sel = 1, .win = 1}));
    EXPECT_EQ(expected_reads(511, c), (Reads{.cmp = 31, .sel = 512, .win = 512}));
    EXPECT_EQ(expected_reads(1023, c), (Reads{.cmp = 63, .sel = 1024, .win = 512}));
    EXPECT_EQ(expected_reads(2047, c), (Reads{.cmp = 127, .sel = 1024, .win = 512}));
    EXPECT_EQ(expected_reads(2048, c).sel, 15 * 64 + 1) << "the query's own block holds one token so far";
    EXPECT_EQ(expected_reads(2047, c).total(), 127 + 1024 + 512);
}

}  // namespace
}  // namespace nsa::core
