// Step-by-step decode: equal to prefill at every step, reads equal to the formula, cache growth and
// truncation.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <limits>

#include "cases.hpp"
#include "nsa_core/errors.hpp"
#include "nsa_core/module.hpp"

namespace nsa::core {
namespace {

using test::Case;
using test::grid;
using test::max_abs;

// Decodes `c` from nothing and compares every step with prefill. Capacity 1 makes the cache grow on the way.
void expect_decode_equals_prefill(const Case& c, at::ScalarType type, Route route) {
    SCOPED_TRACE(c.name + ", " + c10::toString(type) + ", " + std::string{name(route)});
    NSAAttention module{c.config, at::TensorOptions{}.dtype(type), /*seed=*/3};
    module.ask_route(route);
    const at::Tensor x = test::random({c.batch, c.length, c.config.dim}, 21, type);
    const at::Tensor whole = module.prefill(x).out;
    DecodeCache cache = module.make_cache(c.batch, /*capacity=*/1);
    for (std::int64_t t = 0; t < c.length; ++t) {
        const StepResult step = module.decode(x.select(1, t), cache);
        ASSERT_LT(max_abs(step.out, whole.select(1, t)), test::tolerance(type)) << "t = " << t;
        ASSERT_EQ(step.reads, expected_reads(t, c.config)) << "t = " << t;
    }
    EXPECT_EQ(cache.length(), c.length);
    EXPECT_EQ(cache.compressed(), compressed_count(c.length, c.config));
}

TEST(Decode, equals_prefill_at_every_step_over_the_grid_and_reads_what_the_formula_says) {
    for (const Case& c : grid())
        expect_decode_equals_prefill(c, at::kDouble, Route::kReference);
}

TEST(Decode, equals_prefill_on_the_sdpa_route_in_fp32) {
    for (const Case& c : grid())
        expect_decode_equals_prefill(c, at::kFloat, Route::kSdpa);
}

TEST(Decode, equals_prefill_with_a_learnable_compressor_and_rotary_positions) {
    Case c = grid()[3];
    c.config.compressor = Compressor::kMlp;
    c.config.rope = true;
    expect_decode_equals_prefill(c, at::kDouble, Route::kReference);
    expect_decode_equals_prefill(c, at::kDouble, Route::kSdpa);
}

TEST(Decode, continues_a_prefilled_prompt) {
    const Case& c = grid()[3];
    const NSAAttention module{c.config, at::TensorOptions{}.dtype(at::kDouble), /*seed=*/3};
    const at::Tensor x = test::random({c.batch, c.length, c.config.dim}, 22);
    const at::Tensor whole = module.prefill(x).out;
    for (const std::int64_t prompt : {1, 7, 8, 50}) {
        DecodeCache cache = module.make_cache(c.batch, 16);
        (void)module.prefill(x.narrow(1, 0, prompt), &cache);
        for (std::int64_t t = prompt; t < c.length; ++t) {
            ASSERT_LT(max_abs(module.decode(x.select(1, t), cache).out, whole.select(1, t)), 1e-12)
                << prompt << " + " << t;
        }
    }
}

TEST(Decode, a_truncated_cache_repeats_its_steps_bit_for_bit) {
    const Case& c = grid()[3];
    const NSAAttention module{c.config, at::TensorOptions{}.dtype(at::kFloat), /*seed=*/3};
    const at::Tensor x = test::random({c.batch, c.length, c.config.dim}, 23, at::kFloat);
    DecodeCache cache = module.make_cache(c.batch, c.length);
    (void)module.prefill(x.narrow(1, 0, 55), &cache);
    const at::Tensor first = module.decode(x.select(1, 55), cache).out;
    const at::Tensor second = module.decode(x.select(1, 56), cache).out;
    cache.truncate(55);
    EXPECT_EQ(cache.length(), 55);
    EXPECT_TRUE(at::equal(module.decode(x.select(1, 55), cache).out, first));
    EXPECT_TRUE(at::equal(module.decode(x.select(1, 56), cache).out, second));
    EXPECT_THROW(cache.truncate(58), InputError);
    EXPECT_THROW(cache.truncate(-1), InputError);
}

TEST(Decode, a_reserved_cache_stays_in_place_and_takes_rows_that_a_kernel_wrote) {
    const Case& c = grid()[3];
    const NSAAttention module{c.config, at::TensorOptions{}.dtype(at::kDouble), /*seed=*/3};
    const at::Tensor x = test::random({c.batch, c.length, c.config.dim}, 26);
    DecodeCache cache = module.make_cache(c.batch, 1);
    (void)module.prefill(x.narrow(1, 0, 20), &cache);
    DecodeCache written = module.make_cache(c.batch, c.length);
    (void)module.prefill(x.narrow(1, 0, 50), &written);
    cache.reserve(c.length);
    const void* const place = cache.sel().k.storage().const_data_ptr();
    for (const auto buffers : {&DecodeCache::raw, &DecodeCache::cmp, &DecodeCache::sel, &DecodeCache::win}) {
        for (const auto rows : {&KeyValueBuffers::k, &KeyValueBuffers::v}) {
            const at::Tensor from = ((written.*buffers)().*rows).rows();
            ((cache.*buffers)().*rows).storage().narrow(2, 0, from.size(2)).copy_(from);
        }
    }
    cache.extend_to(50);
    EXPECT_EQ(cache.length(), 50);
    EXPECT_EQ(cache.compressed(), compressed_count(50, c.config));
    for (std::int64_t t = 50; t < c.length; ++t) {
        ASSERT_TRUE(
            at::equal(module.decode(x.select(1, t), cache).out, module.decode(x.select(1, t), written).out))
            << "t = " << t;
    }
    EXPECT_EQ(cache.sel().k.storage().const_data_ptr(), place);
    EXPECT_THROW(cache.extend_to(c.length - 1), InputError);  // backwards
    EXPECT_THROW(cache.extend_to(c.length + 1), InputError);  // no room
}

// What lies behind the cache's length is memory that was never written.
TEST(Decode, rows_beyond_the_length_are_never_read) {
    const Case& c = grid()[3];
    const NSAAttention module{c.config, at::TensorOptions{}.dtype(at::kDouble), /*seed=*/3};
    const at::Tensor x = test::random({c.batch, c.length, c.config.dim}, 24);
    const at::Tensor poison = at::full_like(x, std::numeric_limits<double>::quiet_NaN());
    DecodeCache cache = module.make_cache(c.batch, 2 * c.length);
    (void)module.prefill(x.narrow(1, 0, 40), &cache);
    const at::Tensor clean = module.decode(x.select(1, 40), cache).out;
    for (std::int64_t t = 41; t < 60; ++t)
        (void)module.decode(poison.select(1, t), cache);
    cache.truncate(40);
    EXPECT_TRUE(at::equal(module.decode(x.select(1, 40), cache).out, clean));
}

TEST(Decode, its_parts_called_one_by_one_make_the_step) {
    const Case& c = grid()[3];
    const NSAAttention module{c.config, at::TensorOptions{}.dtype(at::kDouble), /*seed=*/3};
    const at::Tensor x = test::random({c.batch, c.length, c.config.dim}, 25);
    DecodeCache cache = module.make_cache(c.batch, c.length);
    (void)module.prefill(x.narrow(1, 0, 47), &cache);  // token 47 completes a compression block
    const at::Tensor whole = module.decode(x.select(1, 47), cache).out;
    cache.truncate(47);
    const StepInputs in = module.step_project(x.select(1, 47), cache);
    (void)module.step_compressed(in, cache);
    const StepCompressed cmp =
        module.step_compressed(in, cache);  // measured repeatedly, it must change nothing
    const StepBranch sel = module.step_selected(in, cmp.blocks, cache);
    const StepBranch win = module.step_sliding(in, cache);
    EXPECT_TRUE(at::equal(module.step_combine(in, cmp.out, sel.out, win.out), whole));
    EXPECT_EQ(cmp.reads, 11);
    EXPECT_EQ(cmp.reads + sel.reads + win.reads, expected_reads(47, c.config).total());
}

}  // namespace
}  // namespace nsa::core
