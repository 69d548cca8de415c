#include "nsa_core/parity/plan.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "nsa_core/errors.hpp"

namespace nsa::core::parity {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Optional;
using ::testing::ThrowsMessage;

const DeviceFacts kCpuHost{
    .kind = tools::DeviceKind::kCpu, .sm = 0, .why_no_cuda = "no CUDA device is visible"};
const DeviceFacts kHopper{.kind = tools::DeviceKind::kCuda, .sm = 90, .why_no_cuda = {}};

ParityOptions half_options(Subject subject, std::optional<Route> route) {
    ParityOptions options;
    options.subject = subject;
    options.route = route;
    options.dtype = DType::kFp16;
    return options;
}

RoutePolicy testing_fa2() {
    RoutePolicy policy;
    policy.test_fa2 = true;
    return policy;
}

TEST(ParityPlan, AnFa2RouteWithoutACudaDeviceIsSkippedWithTheReason) {
    const auto options = half_options(Subject::kSliding, Route::kFa2Dense);
    const TrialPlan plan = plan_trials(options, testing_fa2(), kCpuHost);
    EXPECT_EQ(skip_reason(plan, kCpuHost), "route fa2_dense needs a CUDA device: no CUDA device is visible");
}

TEST(ParityPlan, Fa2CasesRunOnlyWhenNsaTestFa2IsSet) {
    const auto options = half_options(Subject::kSliding, Route::kFa2Varlen);
    EXPECT_THAT(skip_reason(plan_trials(options, {}, kHopper), kHopper),
                Optional(HasSubstr("NSA_TEST_FA2=1")));

    const TrialPlan plan = plan_trials(options, testing_fa2(), kHopper);
    EXPECT_EQ(skip_reason(plan, kHopper), std::nullopt);
    ASSERT_EQ(plan.routes.size(), 1u);
    EXPECT_EQ(plan.routes[0].first, Branch::kSliding);
    EXPECT_EQ(plan.routes[0].second.taken, Route::kFa2Varlen);
    EXPECT_EQ(plan.routes[0].second.reason, "");
}

TEST(ParityPlan, AutoThatLeadsToFa2IsAnFa2CaseToo) {
    const auto options = half_options(Subject::kCompressed, std::nullopt);
    RoutePolicy policy;
    policy.use_fa2 = true;
    EXPECT_THAT(skip_reason(plan_trials(options, policy, kHopper), kHopper),
                Optional(HasSubstr("NSA_TEST_FA2=1")));
    EXPECT_EQ(skip_reason(plan_trials(options, policy, kCpuHost), kCpuHost), std::nullopt);
    EXPECT_EQ(plan_trials(options, policy, kCpuHost).routes[0].second.taken, Route::kSdpa);
}

TEST(ParityPlan, AFallbackKeepsItsReason) {
    auto options = half_options(Subject::kSliding, Route::kFa2Dense);
    options.dtype = DType::kFp32;
    const TrialPlan plan = plan_trials(options, testing_fa2(), kHopper);
    EXPECT_EQ(plan.routes[0].second.taken, Route::kSdpa);
    EXPECT_THAT(plan.routes[0].second.reason, HasSubstr("fp16 or bf16"));
}

TEST(ParityPlan, MinimumLengthsCountTheKeysThatAQuerySees) {
    RoutePolicy policy = testing_fa2();
    policy.fa2_min_len_cmp = 16;
    auto options = half_options(Subject::kCompressed, Route::kFa2Dense);
    options.seq = 128;  // (128 - 32) / 16 + 1 = 7 compressed tokens: the seed's case
    EXPECT_EQ(plan_trials(options, policy, kHopper).routes[0].second.taken, Route::kSdpa);
    options.seq = 512;
    EXPECT_EQ(plan_trials(options, policy, kHopper).routes[0].second.taken, Route::kFa2Dense);
}

TEST(ParityPlan, ACompressedCaseWithoutCompressedTokensIsSkippedNotPassed) {
    auto options = half_options(Subject::kCompressed, std::nullopt);
    options.seq = 31;
    EXPECT_EQ(skip_reason(plan_trials(options, {}, kCpuHost), kCpuHost),
              "no query sees a compressed token: --seq 31 is shorter than --l 32");
    options.seq = 32;
    EXPECT_EQ(skip_reason(plan_trials(options, {}, kCpuHost), kCpuHost), std::nullopt);
}

TEST(ParityPlan, TheWholeLayerPlansItsThreeBranches) {
    const TrialPlan plan =
        plan_trials(half_options(Subject::kModule, Route::kFa2Dense), testing_fa2(), kHopper);
    ASSERT_EQ(plan.routes.size(), 3u);
    for (const auto& [branch, choice] : plan.routes) {
        const bool selected = branch == Branch::kSelected;  // it has no FA2 route, so none is asked of it
        EXPECT_EQ(choice.asked, selected ? std::nullopt : std::optional{Route::kFa2Dense});
        EXPECT_EQ(choice.taken, selected ? Route::kSdpa : Route::kFa2Dense);
        EXPECT_EQ(choice.reason, "");
    }
}

TEST(ParityRequest, RoutesThatDoNotGoWithTheSubjectAreRefused) {
    EXPECT_THAT([] { check_request(half_options(Subject::kModule, Route::kSdpaCausalOneQuery), {}); },
                ThrowsMessage<InputError>(HasSubstr("--branch sliding or compressed")));
    EXPECT_THAT([] { check_request(half_options(Subject::kSelected, Route::kFa2Dense), {}); },
                ThrowsMessage<InputError>(HasSubstr("takes reference, sdpa or auto")));
    EXPECT_NO_THROW(check_request(half_options(Subject::kCompressed, Route::kSdpaCausalOneQuery), {}));
}

TEST(ParityRequest, ARouteThatContradictsAnEnvironmentFlagIsRefused) {
    RoutePolicy policy;
    policy.use_fa2_win = false;
    EXPECT_THAT([&] { check_request(half_options(Subject::kSliding, Route::kFa2Dense), policy); },
                ThrowsMessage<InputError>(AllOf(HasSubstr("fa2_dense"), HasSubstr("NSA_USE_FA2_WIN"))));
}

TEST(ParityRequest, AShapeThatMakesNoSenseIsRefused) {
    ParityOptions options;
    options.heads = 4;
    options.groups = 3;
    EXPECT_THROW(check_request(options, {}), InputError);
}

const DeviceFacts kHopperWithKernels{
    .kind = tools::DeviceKind::kCuda, .sm = 90, .why_no_cuda = {}, .kernels = true};

ParityOptions step_options(std::optional<Route> route) {
    ParityOptions options = half_options(Subject::kDecodeStep, route);
    options.seq = 2000;
    return options;
}

TEST(ParityPlan, ADecodeStepTakesOneRouteForAllBranches) {
    const TrialPlan plan = plan_trials(step_options(std::nullopt), {}, kHopperWithKernels);
    ASSERT_EQ(plan.routes.size(), 3u);
    for (const auto& [branch, choice] : plan.routes)
        EXPECT_EQ(choice.taken, Route::kCuda) << choice.reason;
    EXPECT_EQ(skip_reason(plan, kHopperWithKernels), std::nullopt);
    EXPECT_EQ(plan.options.positions, edge_positions(plan.config, 2000));
}

TEST(ParityPlan, RouteCudaIsSkippedWithTheReasonWhereItIsNot) {
    const auto reason = [](const DeviceFacts& device) {
        return skip_reason(plan_trials(step_options(Route::kCuda), {}, device), device).value_or("");
    };
    EXPECT_THAT(reason(kCpuHost), HasSubstr("built without nvcc"));
    EXPECT_THAT(reason(kHopper), HasSubstr("built without nvcc"));
    DeviceFacts no_device = kCpuHost;
    no_device.kernels = true;
    EXPECT_THAT(reason(no_device),
                AllOf(HasSubstr("needs a CUDA device"), HasSubstr("no CUDA device is visible")));
    EXPECT_EQ(reason(kHopperWithKernels), "");
}

TEST(ParityPlan, RouteCudaTakesBranchesAndTheLayerWhereItsKernelsFit) {
    auto options = half_options(Subject::kModule, Route::kCuda);
    const TrialPlan plan = plan_trials(options, {}, kHopperWithKernels);
    for (const auto& [branch, choice] : plan.routes)
        EXPECT_EQ(choice.taken, Route::kCuda) << choice.reason;
    EXPECT_EQ(skip_reason(plan, kHopperWithKernels), std::nullopt);
    options.n = 40;  // more than the selected branch takes; the other two do not care
    EXPECT_THAT(skip_reason(plan_trials(options, {}, kHopperWithKernels), kHopperWithKernels),
                Optional(HasSubstr("40")));
}

TEST(ParityRequest, ALearnableCompressorIsPartOfALayer) {
    auto options = half_options(Subject::kCompressed, Route::kCuda);
    options.compression = {.compressor = Compressor::kMlp, .phi_hidden = 24};
    EXPECT_THAT([&] { check_request(options, {}); },
                ThrowsMessage<InputError>(HasSubstr("--branch module or decode")));
    options.subject = Subject::kModule;
    EXPECT_NO_THROW(check_request(options, {}));
    const TrialPlan plan = plan_trials(options, {}, kHopperWithKernels);
    EXPECT_EQ(plan.config.compressor, Compressor::kMlp);
    EXPECT_EQ(plan.config.phi_hidden, 24);
    EXPECT_EQ(skip_reason(plan, kHopperWithKernels), std::nullopt) << "the kernels take it";
}

TEST(ParityRequest, GradientsOfDecodingAreRefused) {
    for (const Subject subject : {Subject::kDecode, Subject::kDecodeStep}) {
        auto options = half_options(subject, std::nullopt);
        options.gradients = true;
        EXPECT_THAT([&] { check_request(options, {}); },
                    ThrowsMessage<InputError>(HasSubstr("decoding has none")));
    }
}

TEST(ParityPlan, RoutesAndFlagsOfADecodeStepStayWithIt) {
    const auto message = [](ParityOptions options) {
        try {
            check_request(options, {});
        } catch (const InputError& error) {
            return std::string{error.what()};
        }
        return std::string{};
    };
    EXPECT_EQ(message(half_options(Subject::kSliding, Route::kCuda)), "");
    EXPECT_THAT(message(half_options(Subject::kDecode, Route::kCuda)), HasSubstr("--branch decode_step"));
    EXPECT_THAT(message(step_options(Route::kSdpa)), HasSubstr("not by sdpa"));
    ParityOptions options = half_options(Subject::kModule, std::nullopt);
    options.positions = {3};
    EXPECT_THAT(message(options), HasSubstr("--positions"));
    EXPECT_EQ(message(step_options(Route::kCuda)), "");
}

TEST(ParityPlan, EdgePositionsHoldEveryChangeUpToTheLongest) {
    NsaConfig config;
    config.n = 2;
    config.w = 100;
    EXPECT_EQ(edge_positions(config, 200), (std::vector<std::int64_t>{0, -1, 1, 2, 31, 32, 33, 63, 64, 65, 99,
                                                                      100, 101, 127, 128, 129, 200}));
    EXPECT_EQ(edge_positions(config, 0), (std::vector<std::int64_t>{0, -1}));
}

}  // namespace
}  // namespace nsa::core::parity
