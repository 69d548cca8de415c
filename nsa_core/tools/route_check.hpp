// Whether a route that was asked for would run, decided before anything does. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "nsa_core/config.hpp"
#include "nsa_core/routes.hpp"
#include "nsa_core/tools/flags.hpp"

namespace nsa::core::tools {

struct SequenceRequest {
    NsaConfig config;
    DType dtype = DType::kFp32;
    std::int64_t seq = 0;
    bool cuda = false;
    int sm = 0;            // compute capability, 10 * major + minor; 0 on the CPU
    bool kernels = false;  // the program was built with nvcc
    std::int64_t batch = 1;
    bool decode = false;  // the last of `seq` tokens by itself, not the whole sequence
};

// Why some branch would fall back from `asked`; nothing when all take it. FlashAttention-2 has no selected
// branch, which then takes another route as it should. Throws InputError when an environment flag contradicts
// the route.
[[nodiscard]] std::optional<std::string> why_not(Route asked, const SequenceRequest& request,
                                                 const RoutePolicy& policy);

// auto and the routes that compute whole sequences.
[[nodiscard]] std::vector<std::pair<std::string, std::optional<Route>>> sequence_routes();

[[nodiscard]] std::string name_of(std::optional<Route> route);  // "auto" for none

}  // namespace nsa::core::tools
