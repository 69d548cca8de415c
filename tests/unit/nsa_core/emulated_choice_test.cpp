// Which pieces prefill-bench times. In the program of emulated_training_test.cpp, where tensors of the CPU
// count as those of an A100.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "nsa_core/bench/prefill_pieces.hpp"

namespace nsa::core::bench {
namespace {

RoutesTaken all_by(Route route) {
    RouteChoice choice;
    choice.taken = route;
    return {.cmp = choice, .sel = choice, .win = choice};
}

// Launches alone give the branches no gradient: on route cuda theirs is never in memory.
bool are_launches_alone(std::int64_t width, const RoutesTaken& routes) {
    NsaConfig c;
    c.heads = 4;
    c.groups = 2;
    c.dk = c.dv = width;
    c.n = 4;
    c.w = 40;
    const PrefillInputs in = random_inputs({}, c, 150, at::TensorOptions{at::kBFloat16});
    return attention_pieces(in, c, routes).back().leaves.size() == 1;
}

TEST(AttentionPieces, are_launches_alone_where_all_branches_take_route_cuda) {
    EXPECT_TRUE(are_launches_alone(32, all_by(Route::kCuda)));
    EXPECT_FALSE(are_launches_alone(32, all_by(Route::kReference)));
    RoutesTaken but_one = all_by(Route::kCuda);
    but_one.win.taken = Route::kReference;
    EXPECT_FALSE(are_launches_alone(32, but_one));
}

TEST(AttentionPieces, are_functions_where_heads_must_be_widened_first) {
    EXPECT_FALSE(are_launches_alone(24, all_by(Route::kCuda)));
}

}  // namespace
}  // namespace nsa::core::bench
