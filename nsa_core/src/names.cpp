#include <algorithm>
#include <array>
#include <utility>

#include "nsa_core/numeric.hpp"
#include "nsa_core/routes.hpp"

namespace nsa::core {
namespace {

template <class Enum, std::size_t N>
using Names = std::array<std::pair<Enum, std::string_view>, N>;

constexpr Names<DType, 4> kDTypeNames{
    {{DType::kFp64, "fp64"}, {DType::kFp32, "fp32"}, {DType::kFp16, "fp16"}, {DType::kBf16, "bf16"}}};

constexpr Names<Branch, 3> kBranchNames{
    {{Branch::kCompressed, "compressed"}, {Branch::kSelected, "selected"}, {Branch::kSliding, "sliding"}}};

constexpr Names<Route, 6> kRouteNames{{{Route::kReference, "reference"},
                                       {Route::kSdpa, "sdpa"},
                                       {Route::kFa2Dense, "fa2_dense"},
                                       {Route::kFa2Varlen, "fa2_varlen"},
                                       {Route::kSdpaCausalOneQuery, "sdpa_causal_one_query"},
                                       {Route::kCuda, "cuda"}}};

template <class Enum, std::size_t N>
std::string_view name_in(const Names<Enum, N>& names, Enum value) {
    return std::ranges::find(names, value, &std::pair<Enum, std::string_view>::first)->second;
}

}  // namespace

std::string_view name(DType dtype) {
    return name_in(kDTypeNames, dtype);
}
std::string_view name(Branch branch) {
    return name_in(kBranchNames, branch);
}
std::string_view name(Route route) {
    return name_in(kRouteNames, route);
}

}  // namespace nsa::core
