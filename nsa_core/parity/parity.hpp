// nsa-core parity: a candidate route against the fp64 oracle, over several seeds.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "nsa_core/routes.hpp"
#include "nsa_core/tools/environment.hpp"
#include "nsa_core/tools/flags.hpp"
#include "nsa_core/tools/outcome.hpp"
#include "nsa_core/tools/output.hpp"
#include "nsa_core/tools/shape_flags.hpp"

namespace nsa::core::parity {

enum class Subject {
    kSliding,
    kCompressed,
    kSelected,
    kModule,     // the whole layer, and its identity with full attention where it is configured to cover all
                 // tokens
    kDecode,     // the layer token by token through its cache
    kDecodeStep  // one step of attention over a paged cache, sequences of many lengths at once
};
// What the tensors of a decode step hold.
enum class StepData {
    kNormal,    // standard normal
    kTiny,      // so small that values are subnormal in fp16, and scores all but equal
    kHuge,      // scores of thousands: one key takes all, and an exponent that is not shifted overflows
    kEqualKeys  // every key of a sequence is the same: all inner blocks tie
};

// The default shape is that of the sliding-window case of the seed's report.
struct ParityOptions : tools::AttentionShape {
    ParityOptions() : AttentionShape{.heads = 4, .dk = 64, .dv = 64, .w = 32} {}

    Subject subject = Subject::kSliding;
    std::optional<Route> route;          // nothing: auto, as the environment flags say
    tools::CompressorFlags compression;  // of kModule and kDecode only
    tools::DeviceFlag device = tools::DeviceFlag::kAuto;
    DType dtype = DType::kFp32;
    std::int64_t batch = 2;
    std::int64_t seq = 64;
    std::int64_t seed = 0;
    std::int64_t trials = 1;  // seeds seed, seed + 1, ...
    bool gradients = false;   // of a branch in q, k and v; of the layer in its input and weights
    // Of kDecodeStep only. Positions of the step's tokens, one for each sequence, -1 for an idle slot; empty:
    // every edge of the configuration up to `seq`.
    std::vector<std::int64_t> positions;
    std::int64_t page = 64;  // tokens of a cache page
    StepData data = StepData::kNormal;
    // Golden files (docs/golden.md). With `golden` inputs and expected outputs come from that file, not from
    // a seed and the oracle; into `dump` go those of the one trial and what the candidate made of them.
    std::string golden;
    std::string dump;
    std::set<std::string> given;  // flags that were given
};

void add_flags(tools::FlagTable& table, ParityOptions& options);

// Throws InputError for a shape or a route that makes no sense.
[[nodiscard]] tools::Outcome run(const ParityOptions& options, tools::Output& output);

}  // namespace nsa::core::parity
