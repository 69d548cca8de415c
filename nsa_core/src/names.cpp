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

template <class Enum, std::size_t N>
std::optional<Enum> value_in(const Names<Enum, N>& names, std::string_view text) {
    const auto found = std::ranges::find(names, text, &std::pair<Enum, std::string_view>::second);
    if (found == names.end()) return std::nullopt;
    return found->first;
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
std::optional<DType> parse_dtype(std::string_view text) {
    return value_in(kDTypeNames, text);
}
std::optional<Branch> parse_branch(std::string_view text) {
    return value_in(kBranchNames, text);
}
std::optional<Route> parse_route(std::string_view text) {
    return value_in(kRouteNames, text);
}

}  // namespace nsa::core
