// The chooser: what each route supports, what is taken, and why it fell back.
#include "nsa_core/routes.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nsa::core {
namespace {

using testing::HasSubstr;

// An fp16 sliding window on an H200: FA2 can run it.
RouteRequest fitting() {
    RouteRequest request{.branch = Branch::kSliding,
                         .dtype = DType::kFp16,
                         .cuda = true,
                         .sm = 90,
                         .kernels = true,
                         .length = 64,
                         .key_len = 32};
    request.config.dk = request.config.dv = 64;
    return request;
}

template <class Change>
std::string fa2_reason(const Change& change) {
    RouteRequest request = fitting();
    change(request);
    return unsupported_reason(Route::kFa2Dense, request).value_or("supported");
}

TEST(Routes, have_the_names_that_flags_and_results_use) {
    std::string text;
    for (const Route route : kRoutes)
        text += std::string{name(route)} + " ";
    for (const Branch branch : kBranches)
        text += std::string{name(branch)} + " ";
    for (const DType dtype : {DType::kFp64, DType::kFp32, DType::kFp16, DType::kBf16})
        text += std::string{name(dtype)} + " ";
    EXPECT_EQ(
        text,
        "reference sdpa fa2_dense fa2_varlen sdpa_causal_one_query cuda compressed selected sliding fp64 "
        "fp32 fp16 bf16 ");
}

TEST(Routes, fa2_says_what_it_cannot_run) {
    EXPECT_EQ(fa2_reason([](RouteRequest&) {}), "supported");
    EXPECT_THAT(fa2_reason([](RouteRequest& r) { r.cuda = false; }), HasSubstr("needs a CUDA device"));
    EXPECT_THAT(fa2_reason([](RouteRequest& r) { r.sm = 75; }), HasSubstr("the device has 7.5"));
    EXPECT_THAT(fa2_reason([](RouteRequest& r) { r.dtype = DType::kFp32; }),
                HasSubstr("the tensors are fp32"));
    EXPECT_THAT(fa2_reason([](RouteRequest& r) { r.config.dv = 264; }), HasSubstr("these are 264"));
    EXPECT_THAT(fa2_reason([](RouteRequest& r) { r.branch = Branch::kSelected; }),
                HasSubstr("selected blocks"));
    EXPECT_EQ(fa2_reason([](RouteRequest& r) { r.dtype = DType::kBf16, r.sm = 80, r.config.dk = 192; }),
              "supported");
}

template <class Change>
std::string cuda_reason(Branch branch, const Change& change) {
    RouteRequest request = fitting();
    request.branch = branch;
    change(request);
    return unsupported_reason(Route::kCuda, request).value_or("supported");
}

TEST(Routes, cuda_says_what_its_prefill_kernels_cannot_run) {
    for (const Branch branch : kBranches) {
        SCOPED_TRACE(name(branch));
        const auto reason = [branch](const auto& change) { return cuda_reason(branch, change); };
        EXPECT_EQ(reason([](RouteRequest&) {}), "supported");
        EXPECT_EQ(reason([](RouteRequest& r) { r.sm = 80, r.dtype = DType::kBf16; }), "supported");
        EXPECT_EQ(reason([](RouteRequest& r) { r.config.dk = 192, r.config.dv = 128; }), "supported");
        EXPECT_THAT(reason([](RouteRequest& r) { r.kernels = false; }), HasSubstr("built without nvcc"));
        EXPECT_THAT(reason([](RouteRequest& r) { r.cuda = false; }), HasSubstr("needs a CUDA device"));
        EXPECT_THAT(reason([](RouteRequest& r) { r.sm = 75; }), HasSubstr("the device has 7.5"));
        EXPECT_THAT(reason([](RouteRequest& r) { r.dtype = DType::kFp32; }),
                    HasSubstr("the tensors are fp32"));
        EXPECT_EQ(reason([](RouteRequest& r) { r.config.dk = 16, r.config.dv = 16; }), "supported")
            << "as heads of 32";
        EXPECT_THAT(reason([](RouteRequest& r) { r.config.dv = 136; }), HasSubstr("64 and 136"));
        EXPECT_THAT(reason([](RouteRequest& r) { r.config.dk = 200; }), HasSubstr("200 and 64"));
        EXPECT_THAT(reason([](RouteRequest& r) { r.config.heads = 6; }), HasSubstr("H = 6 with G = 2"));
        EXPECT_THAT(reason([](RouteRequest& r) { r.length = std::int64_t{1} << 31; }),
                    HasSubstr("in 32 bits"));
        EXPECT_THAT(reason([](RouteRequest& r) { r.length = 0; }),
                    HasSubstr("a step of the " + std::string{name(branch)} + " branch by itself"));
    }
    const auto selected = [](const auto& change) { return cuda_reason(Branch::kSelected, change); };
    EXPECT_NE(selected([](RouteRequest& r) { r.config.n = 33; }), "supported");
    EXPECT_EQ(cuda_reason(Branch::kSliding, [](RouteRequest& r) { r.config.n = 33; }), "supported")
        << "the window selects nothing";
}

TEST(Routes, cuda_takes_a_learnable_compressor_of_any_width_that_32_bits_count) {
    const auto reason = [](Branch branch, std::int64_t hidden) {
        return cuda_reason(branch, [hidden](RouteRequest& r) {
            r.config.compressor = Compressor::kMlp;
            r.config.phi_hidden = hidden;
        });
    };
    EXPECT_EQ(reason(Branch::kCompressed, 64), "supported");
    EXPECT_EQ(reason(Branch::kCompressed, 10), "supported") << "as 16";
    EXPECT_THAT(reason(Branch::kCompressed, 1 << 20), HasSubstr("2^31 - 1"));
    EXPECT_EQ(reason(Branch::kSliding, 1 << 20), "supported") << "the window compresses nothing";
}

TEST(Routes, cuda_is_taken_when_asked_for_and_never_by_itself) {
    EXPECT_EQ(choose_route({}, fitting(), {}).taken, Route::kSdpa);
    EXPECT_EQ(choose_route({}, fitting(), {.use_fa2 = true}).taken, Route::kFa2Dense);
    const RouteChoice asked = choose_route(Route::kCuda, fitting(), {.use_fa2 = true});
    EXPECT_EQ(asked.taken, Route::kCuda);
    EXPECT_EQ(asked.reason, "");
    RouteRequest wide = fitting();
    wide.dtype = DType::kFp32;
    const RouteChoice refused = choose_route(Route::kCuda, wide, {});
    EXPECT_EQ(refused.taken, Route::kSdpa);
    EXPECT_THAT(refused.reason, HasSubstr("fp16 or bf16"));
}

TEST(Routes, auto_is_sdpa_until_a_flag_allows_fa2) {
    EXPECT_EQ(choose_route({}, fitting(), {}).taken, Route::kSdpa);
    EXPECT_EQ(choose_route({}, fitting(), {}).reason, "");
    EXPECT_EQ(choose_route({}, fitting(), {.use_fa2 = true}).taken, Route::kFa2Dense);
    EXPECT_EQ(choose_route({}, fitting(), {.use_fa2 = true, .fa2_force_varlen = true}).taken,
              Route::kFa2Varlen);
    EXPECT_EQ(choose_route({}, fitting(), {.use_fa2 = true, .use_fa2_win = false}).taken, Route::kSdpa);
    EXPECT_EQ(choose_route({}, fitting(), {.use_fa2 = false, .use_fa2_win = true}).taken, Route::kFa2Dense);
}

TEST(Routes, a_fallback_is_sdpa_and_says_why) {
    RouteRequest request = fitting();
    request.cuda = false;
    const RouteChoice on_cpu = choose_route(Route::kFa2Varlen, request, {});
    EXPECT_EQ(on_cpu.asked, Route::kFa2Varlen);
    EXPECT_EQ(on_cpu.taken, Route::kSdpa);
    EXPECT_THAT(on_cpu.reason, HasSubstr("needs a CUDA device"));
    const RouteChoice allowed = choose_route({}, request, {.use_fa2 = true});
    EXPECT_EQ(allowed.taken, Route::kSdpa);
    EXPECT_THAT(allowed.reason, HasSubstr("needs a CUDA device"));
}

TEST(Routes, keys_fewer_than_the_minimum_fall_back_with_the_flag_named) {
    const RoutePolicy policy{.use_fa2 = true, .fa2_min_len_win = 33, .fa2_min_len_cmp = 8};
    const RouteChoice sliding = choose_route({}, fitting(), policy);
    EXPECT_EQ(sliding.taken, Route::kSdpa);
    EXPECT_EQ(sliding.reason, "NSA_FA2_MIN_LEN_WIN=33, and a query sees at most 32 keys");
    RouteRequest compressed = fitting();
    compressed.branch = Branch::kCompressed;
    compressed.key_len = 7;
    EXPECT_EQ(choose_route(Route::kFa2Dense, compressed, policy).reason,
              "NSA_FA2_MIN_LEN_CMP=8, and a query sees at most 7 keys");
    compressed.key_len = 8;
    EXPECT_EQ(choose_route({}, compressed, policy).taken, Route::kFa2Dense)
        << "the minimum itself is long enough";
}

TEST(Routes, explicit_routes_that_run_anywhere_are_taken_as_asked) {
    RouteRequest request = fitting();
    request.cuda = false;
    request.dtype = DType::kFp64;
    for (const Route route : {Route::kReference, Route::kSdpa, Route::kSdpaCausalOneQuery}) {
        const RouteChoice choice = choose_route(route, request, {.use_fa2 = true});
        EXPECT_EQ(choice.taken, route);
        EXPECT_EQ(choice.reason, "");
    }
    request.branch = Branch::kSelected;
    EXPECT_EQ(choose_route(Route::kSdpaCausalOneQuery, request, {}).taken, Route::kSdpa);
}

TEST(Routes, an_explicit_route_against_a_flag_is_a_contradiction) {
    const auto conflict = [](const RoutePolicy& policy, Branch branch, Route route) {
        return contradiction(policy, branch, route).value_or("none");
    };
    EXPECT_THAT(conflict({.use_fa2 = false}, Branch::kSliding, Route::kFa2Dense), HasSubstr("NSA_USE_FA2=0"));
    EXPECT_THAT(conflict({.use_fa2 = true, .use_fa2_cmp = false}, Branch::kCompressed, Route::kFa2Dense),
                HasSubstr("NSA_USE_FA2_CMP=0"));
    EXPECT_THAT(conflict({.fa2_force_varlen = true}, Branch::kSliding, Route::kFa2Dense),
                HasSubstr("NSA_FA2_FORCE_VARLEN=1"));
    EXPECT_THAT(conflict({.fa2_force_dense = true}, Branch::kCompressed, Route::kFa2Varlen),
                HasSubstr("NSA_FA2_FORCE_DENSE=1"));
    EXPECT_THAT(conflict({.win_force_dense = true}, Branch::kSliding, Route::kFa2Varlen),
                HasSubstr("NSA_WIN_FORCE_DENSE=1"));
    EXPECT_EQ(conflict({}, Branch::kSliding, Route::kFa2Varlen), "none");
    EXPECT_EQ(conflict({.use_fa2 = true}, Branch::kSliding, Route::kSdpa), "none")
        << "allowing is not forcing";
    EXPECT_EQ(conflict({.win_force_dense = true}, Branch::kCompressed, Route::kFa2Varlen), "none");
}

}  // namespace
}  // namespace nsa::core
