#include "nsa_core/tools/route_check.hpp"

#include <algorithm>

#include "nsa_core/errors.hpp"
#include "nsa_core/geometry.hpp"

namespace nsa::core::tools {
namespace {

std::int64_t visible_keys(Branch branch, const SequenceRequest& r) {
    if (branch == Branch::kSliding) return std::min(r.config.w, r.seq);
    return branch == Branch::kCompressed ? compressed_count(r.seq, r.config) : r.seq;
}

}  // namespace

std::optional<std::string> why_not(Route asked, const SequenceRequest& r, const RoutePolicy& policy) {
    const bool fa2 = is_fa2(asked);
    for (const Branch branch : kBranches) {
        if (fa2 && branch == Branch::kSelected) continue;
        if (const auto fault = contradiction(policy, branch, asked)) throw InputError{*fault};
        const RouteRequest request{.branch = branch,
                                   .config = r.config,
                                   .dtype = r.dtype,
                                   .cuda = r.cuda,
                                   .sm = r.sm,
                                   .kernels = r.kernels,
                                   .batch = r.batch,
                                   .length = r.decode ? 0 : r.seq,
                                   .key_len = visible_keys(branch, r)};
        const RouteChoice choice = choose_route(asked, request, policy);
        if (choice.taken != asked) {
            return "route " + std::string{name(asked)} + ", branch " + std::string{name(branch)} + ": " +
                   choice.reason;
        }
    }
    return std::nullopt;
}

std::vector<std::pair<std::string, std::optional<Route>>> sequence_routes() {
    std::vector<std::pair<std::string, std::optional<Route>>> routes{{"auto", std::nullopt}};
    for (const Route route : kRoutes) {
        if (route != Route::kSdpaCausalOneQuery) routes.emplace_back(name(route), route);
    }
    return routes;
}

std::string name_of(std::optional<Route> route) {
    return std::string{route ? name(*route) : "auto"};
}

}  // namespace nsa::core::tools
