#include "nsa_core/bench/floor.hpp"

#include "nsa_core/geometry.hpp"

namespace nsa::core::bench {
namespace {

constexpr std::int64_t kBranchesOfACache =
    3;  // each appends a row of its own, the compressed one to its ring

// `keys` keys and values of every sequence and group, met by all heads of the group.
Work attention_work(const NsaConfig& c, std::int64_t batch, std::int64_t keys, std::int64_t element_bytes) {
    const auto width = static_cast<double>(c.dk + c.dv);
    const auto sequences = static_cast<double>(batch);
    return {.bytes = sequences * static_cast<double>(c.groups * keys * element_bytes) * width,
            .flops = 2 * sequences * static_cast<double>(c.heads * keys) * width};
}

double query_and_output_bytes(const NsaConfig& c, std::int64_t batch, std::int64_t element_bytes) {
    return static_cast<double>(batch * c.heads * (c.dk + c.dv) * element_bytes);
}

}  // namespace

Work step_work(const NsaConfig& c, std::int64_t batch, std::int64_t seq, std::int64_t element_bytes) {
    Work work = attention_work(c, batch, expected_reads(seq - 1, c).total(), element_bytes);
    const std::int64_t gates = c.heads * 3;
    const std::int64_t rows = kBranchesOfACache * c.groups * (c.dk + c.dv);
    work.bytes += query_and_output_bytes(c, batch, element_bytes) +
                  static_cast<double>(batch * (gates + 2 * rows) * element_bytes);
    return work;
}

Work layer_work(const NsaConfig& c, std::int64_t weights, std::int64_t seq, std::int64_t element_bytes) {
    Work work = attention_work(c, /*batch=*/1, expected_reads(seq - 1, c).total(), element_bytes);
    work.bytes += static_cast<double>((weights + 2 * c.dim) * element_bytes);  // the token in, the result out
    work.flops += 2 * static_cast<double>(weights);
    return work;
}

Floor floor_of(const Work& work, const Ceilings& ceilings) {
    constexpr double kMsPerSecond = 1e3;
    return {.bytes_ms = work.bytes / ceilings.bytes_per_s * kMsPerSecond,
            .flops_ms = work.flops / ceilings.flops_per_s * kMsPerSecond};
}

}  // namespace nsa::core::bench
