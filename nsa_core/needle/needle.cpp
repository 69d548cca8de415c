#include "nsa_core/needle/needle.hpp"

#include <algorithm>

#include "nsa_core/device.hpp"
#include "nsa_core/errors.hpp"
#include "nsa_core/needle/haystack.hpp"
#include "nsa_core/routes/cuda_decode.hpp"
#include "nsa_core/tools/torch_device.hpp"

namespace nsa::core::needle {
namespace {

RouteChoice choose(const NeedleOptions& o, const NsaConfig& config, tools::DeviceKind device) {
    const bool cuda = device == tools::DeviceKind::kCuda;
    const int sm = tools::sm_of(device);
    const std::int64_t longest = *std::ranges::max_element(o.seq);
    if (o.mode == Mode::kPrefill) {
        return choose_route(o.route,
                            {.branch = Branch::kSelected,
                             .config = config,
                             .dtype = o.dtype,
                             .cuda = cuda,
                             .sm = sm,
                             .kernels = kernels_built(),
                             .length = longest,
                             .key_len = longest},
                            RoutePolicy{});
    }
    return choose_route(o.route, StepRequest{.config = config,
                                             .dtype = o.dtype,
                                             .page_tokens = o.page,
                                             .max_tokens = longest,
                                             .cuda = cuda,
                                             .sm = sm,
                                             .kernels = kernels_built()});
}

Row row_at(const NsaConfig& c, std::int64_t seq, std::int64_t depth) {
    const std::int64_t position = position_at(depth, seq);
    const std::int64_t block = position / c.l_sel;
    const std::int64_t own = (seq - 1) / c.l_sel;
    return {.seq = seq,
            .depth = depth,
            .position = position,
            .block = block,
            .forced = block < c.n_initial || block > own - c.n_local};
}

// All depths share the haystack of a trial.
std::vector<Row> rows_at(const NeedleOptions& o, const NsaConfig& config, std::int64_t seq, Route route,
                         at::Device device) {
    std::vector<Row> rows;
    for (const std::int64_t depth : o.depth)
        rows.push_back(row_at(config, seq, depth));
    for (std::int64_t trial = 0; trial < o.trials; ++trial) {
        Haystack haystack{{.config = config,
                           .seq = seq,
                           .page_tokens = o.page,
                           .dtype = o.dtype,
                           .mode = o.mode,
                           .route = route},
                          o.strength,
                          o.seed + trial,
                          device};
        for (Row& row : rows)
            row.trials.push_back(haystack.find(row.position));
    }
    return rows;
}

}  // namespace

void add_flags(tools::FlagTable& table, NeedleOptions& o) {
    constexpr std::int64_t kMany = 1 << 20;
    table.integers("--seq", o.seq, 2, kMany, "context lengths, the query's token included")
        .integers("--depth", o.depth, 0, 100, "where the needle lies, in percent of the context")
        .integer("--trials", o.trials, 1, 100000,
                 "needles for each length and depth, each with the next seed")
        .positive("--strength", o.strength, "score of the needle before the softmax")
        .positive("--tolerance", o.tolerance, "largest relative error of an output that counts as retrieved")
        .choice("--mode", o.mode, {{"decode", Mode::kDecode}, {"prefill", Mode::kPrefill}},
                "one step of the last token, or the whole sequence, of which the last query is judged")
        .choice<std::optional<Route>>("--route", o.route,
                                      {{"auto", std::nullopt},
                                       {"reference", Route::kReference},
                                       {"sdpa", Route::kSdpa},
                                       {"cuda", Route::kCuda}},
                                      "of the step, or of the prefill's selected branch; sdpa: prefill only");
    tools::add_head_flags(table, o);
    tools::add_block_flags(table, o);
    table.integer("--page", o.page, 1, kMany, "tokens of a cache page, a multiple of --l-sel");
    tools::add_dtype_flag(table, o.dtype);
    tools::add_device_flag(table, o.device);
    table.integer("--seed", o.seed, 0, INT64_C(1) << 52, "seed of the first trial");
}

tools::Outcome run(const NeedleOptions& o, tools::Output& output) {
    const NsaConfig config = tools::config_of(o, NsaConfig{}.dim);
    const auto choice = tools::choose_device(o.device);
    if (const auto* skipped = std::get_if<tools::Skipped>(&choice)) return *skipped;
    const auto device = std::get<tools::DeviceKind>(choice);
    const RouteChoice route = choose(o, config, device);
    if (o.route && route.taken != *o.route) {
        return tools::Skipped{"route " + std::string{name(*o.route)} + " is unavailable: " + route.reason};
    }
    tools::write_run_facts(output, device, o.dtype, o.seed);
    output.results.write(
        tools::Fact{.name = "mode", .value = o.mode == Mode::kDecode ? "decode" : "prefill"});
    // Of the three branches the gate passes this one alone.
    tools::write_route_facts(output, Branch::kSelected, route);
    Report report{output, o.tolerance};
    for (const std::int64_t seq : o.seq) {
        for (const Row& row : rows_at(o, config, seq, route.taken, tools::torch_device(device)))
            report.add(row);
    }
    tools::write_peak_memory(output, device);
    return tools::Done{};
}

}  // namespace nsa::core::needle
