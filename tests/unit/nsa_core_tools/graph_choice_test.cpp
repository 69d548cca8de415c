#include "nsa_core/train/graph_choice.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nsa::core::train {
namespace {

using ::testing::HasSubstr;

// A bf16 run on a GPU whose branches all take route cuda.
GraphRequest fitting() {
    GraphRequest request{
        .device = tools::DeviceKind::kCuda, .dtype = DType::kBf16, .kernels = true, .routes = {}};
    for (const Branch branch : kBranches)
        request.routes.emplace_back(branch, RouteChoice{.taken = Route::kCuda, .reason = {}});
    return request;
}

template <class Change>
std::string reason(const Change& change) {
    GraphRequest request = fitting();
    change(request);
    return why_eager(request).value_or("captured");
}

TEST(GraphChoice, StepsOnRouteCudaAreCaptured) {
    EXPECT_EQ(reason([](GraphRequest&) {}), "captured");
    EXPECT_EQ(reason([](GraphRequest& r) { r.flag = GraphFlag::kOn; }), "captured");
}

TEST(GraphChoice, AutoCapturesNoOtherRouteAndOnCapturesAny) {
    const auto mixed = [](GraphRequest& r) { r.routes[1].second.taken = Route::kSdpa; };
    EXPECT_THAT(reason(mixed), HasSubstr("the selected branch takes route sdpa"));
    EXPECT_EQ(reason([&](GraphRequest& r) { mixed(r), r.flag = GraphFlag::kOn; }), "captured");
}

TEST(GraphChoice, WhatTheHostMustReadKeepsStepsEagerWhateverTheFlag) {
    for (const GraphFlag flag : {GraphFlag::kAuto, GraphFlag::kOn}) {
        const auto with = [flag](const auto& change) {
            return reason([&](GraphRequest& r) { r.flag = flag, change(r); });
        };
        EXPECT_THAT(with([](GraphRequest& r) { r.dtype = DType::kFp16; }), HasSubstr("overflowed"));
        EXPECT_THAT(with([](GraphRequest& r) { r.sdpa_audit = true; }), HasSubstr("NSA_SDPA_AUDIT"));
        EXPECT_THAT(with([](GraphRequest& r) { r.kernels = false; }), HasSubstr("without nvcc"));
        EXPECT_THAT(with([](GraphRequest& r) { r.device = tools::DeviceKind::kCpu; }),
                    HasSubstr("CUDA device"));
    }
    EXPECT_THAT(reason([](GraphRequest& r) { r.flag = GraphFlag::kOff; }), HasSubstr("--graph is off"));
}

}  // namespace
}  // namespace nsa::core::train
