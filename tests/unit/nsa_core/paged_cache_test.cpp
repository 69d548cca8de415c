#include "nsa_core/paged_cache.hpp"

#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include "cases.hpp"
#include "nsa_core/errors.hpp"
#include "nsa_core/geometry.hpp"

namespace nsa::core {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

NsaConfig small_config() {
    NsaConfig config;
    config.heads = 2;
    config.groups = 2;
    config.dk = 3;
    config.dv = 5;
    config.l = 8;
    config.d = 4;
    config.l_sel = 16;
    config.n = 4;
    return config;
}

KeysValues rows(const NsaConfig& c, std::int64_t count, std::uint64_t seed) {
    return {.k = test::random({c.groups, count, c.dk}, seed),
            .v = test::random({c.groups, count, c.dv}, seed + 1)};
}

PrefilledSequence prefilled(const NsaConfig& c, std::int64_t tokens) {
    return {.raw = rows(c, tokens, 1),
            .cmp = rows(c, compressed_count(tokens, c), 3),
            .sel = rows(c, tokens, 5),
            .win = rows(c, tokens, 7)};
}

PagedCache cache_of(const NsaConfig& c, std::vector<std::int32_t> order = {}) {
    return {c, {.batch = 2, .max_tokens = 100, .page_tokens = 32, .pages = 6}, at::kDouble, std::move(order)};
}

TEST(PagedCacheTest, rows_come_back_in_order_from_pages_in_any_order) {
    const NsaConfig c = small_config();
    PagedCache cache = cache_of(c, {4, 1, 5, 0, 3, 2});
    for (const std::int64_t tokens : {1, 31, 32, 33, 70}) {
        SCOPED_TRACE(tokens);
        const PrefilledSequence given = prefilled(c, tokens);
        cache.fill(1, given);
        const std::int64_t compressed = compressed_count(tokens, c);
        EXPECT_TRUE(at::equal(cache.gather(cache.sel(), 1, tokens).k, given.sel.k));
        EXPECT_TRUE(at::equal(cache.gather(cache.win(), 1, tokens).v, given.win.v));
        EXPECT_TRUE(at::equal(cache.gather(cache.cmp(), 1, compressed).k, given.cmp.k));
        EXPECT_EQ(cache.position()[1].item<int>(), tokens);
        cache.release(1);
    }
}

TEST(PagedCacheTest, the_ring_holds_the_last_l_raw_rows_at_their_places) {
    const NsaConfig c = small_config();
    PagedCache cache = cache_of(c);
    const PrefilledSequence given = prefilled(c, 70);
    cache.fill(0, given);
    for (std::int64_t t = 70 - c.l; t < 70; ++t) {
        EXPECT_TRUE(at::equal(cache.raw().k[0].select(1, t % c.l), given.raw.k.select(1, t))) << t;
    }
}

TEST(PagedCacheTest, pages_are_handed_out_in_the_order_given_and_come_back) {
    PagedCache cache = cache_of(small_config(), {4, 1, 5, 0, 3, 2});
    cache.reserve(0, 40);
    cache.reserve(1, 1);
    EXPECT_TRUE(at::equal(cache.page_table()[0].slice(0, 0, 3), at::tensor({4, 1, -1}, at::kInt)));
    EXPECT_EQ(cache.page_table()[1][0].item<int>(), 5);
    EXPECT_EQ(cache.place_of(cache.cmp(), 0, 9).page, 1);  // 8 compressed tokens in a page of 32
    EXPECT_EQ(cache.place_of(cache.cmp(), 0, 9).row, 1);
    cache.release(0);
    cache.reserve(1, 64);
    EXPECT_EQ(cache.page_table()[1][1].item<int>(), 4);
    EXPECT_EQ(cache.position()[0].item<int>(), -1);
}

TEST(PagedCacheTest, only_busy_slots_advance) {
    PagedCache cache = cache_of(small_config());
    cache.fill(0, prefilled(small_config(), 5));
    cache.advance();
    EXPECT_TRUE(at::equal(cache.position(), at::tensor({6, -1}, at::kInt)));
}

TEST(PagedCacheTest, a_full_sequence_does_not_advance) {
    PagedCache cache = cache_of(small_config());
    cache.position().select(0, 0).fill_(99);  // of 100
    cache.advance();
    cache.advance();
    EXPECT_TRUE(at::equal(cache.position(), at::tensor({100, -1}, at::kInt)));
}

TEST(PagedCacheTest, a_copy_is_independent) {
    PagedCache cache = cache_of(small_config());
    cache.fill(0, prefilled(small_config(), 5));
    const PagedCache copy = cache.copy_to(at::kCPU);
    cache.sel().k.zero_();
    cache.advance();
    EXPECT_EQ(copy.position()[0].item<int>(), 5);
    EXPECT_GT(copy.gather(copy.sel(), 0, 5).k.abs().sum().item<double>(), 0);
}

TEST(PagedCacheTest, what_does_not_fit_is_refused_with_the_numbers) {
    const NsaConfig c = small_config();
    PagedCache cache = cache_of(c);
    EXPECT_THAT([&] { cache.reserve(0, 101); }, ThrowsMessage<InputError>(HasSubstr("at most 100")));
    cache.reserve(0, 96);
    cache.reserve(1, 90);
    EXPECT_THAT([&] { cache.reserve(0, 100); },
                ThrowsMessage<InputError>(HasSubstr("needs 1 more pages, and 0")));
    EXPECT_THAT(([&] {
                    PagedCache{c, {.batch = 1, .max_tokens = 9, .page_tokens = 24, .pages = 1}, at::kDouble};
                }),
                ThrowsMessage<InputError>(HasSubstr("multiple of l' = 16")));
    EXPECT_THAT(([&] {
                    (void)cache_of(c, {0, 1, 2, 3, 4, 4});
                }),
                ThrowsMessage<InputError>(HasSubstr("each of the 6 pages once")));
    PrefilledSequence wrong = prefilled(c, 20);
    wrong.cmp = rows(c, 5, 9);
    EXPECT_THAT([&] { cache.fill(0, wrong); }, ThrowsMessage<InputError>(HasSubstr("4 compressed ones")));
}

TEST(PagedCacheTest, a_sequence_that_is_not_there_is_refused_by_its_number) {
    PagedCache cache = cache_of(small_config());
    for (const std::int64_t sequence : {-1, 2}) {
        const auto refusal = ThrowsMessage<InputError>(
            HasSubstr("sequences 0 to 1, and sequence " + std::to_string(sequence)));
        EXPECT_THAT([&] { cache.reserve(sequence, 5); }, refusal);
        EXPECT_THAT([&] { cache.fill(sequence, prefilled(small_config(), 5)); }, refusal);
        EXPECT_THAT([&] { cache.release(sequence); }, refusal);
        EXPECT_THAT([&] { (void)cache.place_of(cache.sel(), sequence, 0); }, refusal);
        EXPECT_THAT([&] { (void)cache.gather(cache.sel(), sequence, 1); }, refusal);
    }
    cache.reserve(0, 32);
    EXPECT_THAT([&] { (void)cache.place_of(cache.sel(), 0, 32); },
                ThrowsMessage<InputError>(HasSubstr("row 32 of sequence 0 has no page")));
}

TEST(PagedCacheTest, a_prefill_of_other_groups_or_widths_is_refused_with_its_shapes) {
    PagedCache cache = cache_of(small_config());
    NsaConfig other = small_config();
    other.dk += 2;
    PrefilledSequence wrong = prefilled(small_config(), 20);
    wrong.win = rows(other, 20, 9);
    EXPECT_THAT([&] { cache.fill(0, wrong); },
                ThrowsMessage<InputError>(HasSubstr("a prefill's window rows must be [")));
    other = small_config();
    other.groups *= 2;
    wrong = prefilled(small_config(), 20);
    wrong.raw = rows(other, 20, 9);
    EXPECT_THAT([&] { cache.fill(0, wrong); },
                ThrowsMessage<InputError>(HasSubstr("a prefill's raw rows must be [")));
    EXPECT_EQ(cache.position()[0].item<int>(), -1);
}

}  // namespace
}  // namespace nsa::core
