#include "nsa_core/bench/reads_output.hpp"

namespace nsa::core::bench {

void write_reads(tools::Output& output, const tools::Labels& labels, const std::string& prefix,
                 const Reads& reads) {
    const auto metric = [&](const char* branch, std::int64_t keys) {
        output.results.write(tools::Metric{
            .name = prefix + branch, .value = static_cast<double>(keys), .unit = "keys", .labels = labels});
    };
    metric("_total", reads.total());
    metric("_cmp", reads.cmp);
    metric("_sel", reads.sel);
    metric("_win", reads.win);
}

}  // namespace nsa::core::bench
