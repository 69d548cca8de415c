// nsa-core needle: does attention find one planted token in a long context? docs/needle.md says how it is
// built and what passing means.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "nsa_core/config.hpp"
#include "nsa_core/routes.hpp"
#include "nsa_core/tools/environment.hpp"
#include "nsa_core/tools/flags.hpp"
#include "nsa_core/tools/outcome.hpp"
#include "nsa_core/tools/output.hpp"
#include "nsa_core/tools/shape_flags.hpp"

namespace nsa::core::needle {

enum class Mode {
    kDecode,  // one step of the last token over a paged cache: linear in the context
    kPrefill  // the whole sequence, of which the last query is judged: quadratic
};

struct NeedleOptions : tools::AttentionShape {
    Mode mode = Mode::kDecode;
    std::vector<std::int64_t> seq{4096};
    std::vector<std::int64_t> depth{0, 10, 25, 50, 75, 90, 100};  // percent of the context
    std::int64_t trials = 4;                                      // needles per length and depth
    double strength = 64;     // score of the needle before the softmax; other tokens' scores are of order 1
    double tolerance = 0.02;  // of an output that counts as the needle's value, relative
    std::optional<Route> route;  // nothing: auto
    std::int64_t page = 64;      // tokens of a cache page
    DType dtype = DType::kFp32;
    tools::DeviceFlag device = tools::DeviceFlag::kAuto;
    std::int64_t seed = 0;  // of the first trial
};

void add_flags(tools::FlagTable& table, NeedleOptions& options);
[[nodiscard]] tools::Outcome run(const NeedleOptions& options, tools::Output& output);

}  // namespace nsa::core::needle
