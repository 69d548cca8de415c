#include "nsa_core/bench/prefill_floor.hpp"

#include "nsa_core/geometry.hpp"

namespace nsa::core::bench {
namespace {

constexpr std::int64_t kIndexBytes = 4;  // of a chosen block

double as_double(std::int64_t count) {
    return static_cast<double>(count);
}

Work sum(const Work& a, const Work& b) {
    return {.bytes = a.bytes + b.bytes, .flops = a.flops + b.flops};
}

// Of `width` numbers for each token and head.
double head_bytes(const PrefillShape& s, std::int64_t width) {
    return as_double(s.batch * s.seq * s.config.heads * width * s.element_bytes);
}

double attention_flops(const PrefillShape& s, Pass pass, double pairs) {
    const NsaConfig& c = s.config;
    const std::int64_t forward = c.dk + c.dv;
    const std::int64_t backward = 3 * c.dk + 2 * c.dv;
    return 2 * as_double(s.batch * c.heads * (pass == Pass::kForward ? forward : backward)) * pairs;
}

// Q and O, or Q, dO and dQ.
double attention_bytes(const PrefillShape& s, Pass pass) {
    const NsaConfig& c = s.config;
    return head_bytes(s, pass == Pass::kForward ? c.dk + c.dv : 2 * c.dk + c.dv);
}

Work attention(const PrefillShape& s, Pass pass, double pairs) {
    return {.bytes = attention_bytes(s, pass), .flops = attention_flops(s, pass, pairs)};
}

// Raw rows in and compressed rows out, one of the latter every d tokens; the other way round backward.
Work compression(const PrefillShape& s, Pass pass) {
    const NsaConfig& c = s.config;
    const double numbers = as_double(s.batch * s.seq * c.groups * (c.dk + c.dv));
    Work work{.bytes = as_double(s.element_bytes) * numbers * (1 + 1 / as_double(c.d)), .flops = 2 * numbers};
    if (c.compressor == Compressor::kMean) return work;
    // W1 and W2 with each compressed row, forward; backward with its gradient, of input and of weights.
    const double weights = as_double(c.phi_hidden * (c.l + 1) * (c.dk + c.dv));
    const double times = pass == Pass::kForward ? 1 : 2;
    work.flops = 2 * times * weights * as_double(s.batch * c.groups * compressed_count(s.seq, c));
    work.bytes += times * weights * as_double(s.element_bytes);
    return work;
}

Work selection(const PrefillShape& s) {
    const NsaConfig& c = s.config;
    return {.bytes = as_double(s.batch * s.seq * c.groups * c.n * kIndexBytes),
            .flops = 2 * as_double(s.batch * c.heads * c.dk) * visible_pairs(c, s.seq).cmp};
}

// A product with `weights` numbers for each token: once forward, twice backward (of input and of weights).
// The rows beside the weights have `width` numbers a token.
Work projection(const PrefillShape& s, Pass pass, std::int64_t weights, std::int64_t width) {
    const std::int64_t times = pass == Pass::kForward ? 1 : 2;
    return {.bytes = as_double(times * s.element_bytes * (weights + s.batch * s.seq * width)),
            .flops = 2 * as_double(times * s.batch * s.seq * weights)};
}

// Three outputs in and one out; backward dO and three outputs in, whose products are all that is needed.
Work combination(const PrefillShape& s) {
    const double numbers = as_double(s.batch * s.seq * s.config.heads * s.config.dv);
    return {.bytes = 4 * numbers * as_double(s.element_bytes), .flops = 6 * numbers};
}

Work one_way(PrefillPart part, Pass pass, const PrefillShape& s) {
    const VisiblePairs pairs = visible_pairs(s.config, s.seq);
    switch (part) {
        case PrefillPart::kProject:
            return s.input_weights == 0 ? Work{} : projection(s, pass, s.input_weights, s.config.dim);
        case PrefillPart::kCompress:
            return compression(s, pass);
        case PrefillPart::kCompressed:
            return attention(s, pass, pairs.cmp);
        case PrefillPart::kSelect:
            return pass == Pass::kForward ? selection(s) : Work{};
        case PrefillPart::kSelected:
            return attention(s, pass, pairs.sel);
        case PrefillPart::kSliding:
            return attention(s, pass, pairs.win);
        case PrefillPart::kCombine:
            break;
    }
    const Work gates = combination(s);
    return s.output_weights == 0 ? gates : sum(gates, projection(s, pass, s.output_weights, s.config.dim));
}

Work whole_one_way(Pass pass, const PrefillShape& s) {
    Work whole;
    for (const PrefillPart part : kPrefillParts)
        whole.flops += one_way(part, pass, s).flops;
    whole.bytes = attention_bytes(s, pass) + compression(s, pass).bytes;
    whole.bytes += one_way(PrefillPart::kProject, pass, s).bytes;
    if (s.output_weights > 0) whole.bytes += projection(s, pass, s.output_weights, s.config.dim).bytes;
    return whole;
}

template <typename OneWay>
Work of_pass(Pass pass, const OneWay& one_way_work) {
    if (pass != Pass::kStep) return one_way_work(pass);
    return sum(one_way_work(Pass::kForward), one_way_work(Pass::kBackward));
}

}  // namespace

std::string_view name(Pass pass) {
    switch (pass) {
        case Pass::kForward:
            return "forward";
        case Pass::kBackward:
            return "backward";
        case Pass::kStep:
            break;
    }
    return "step";
}

std::string_view metric_of(PrefillPart part) {
    switch (part) {
        case PrefillPart::kProject:
            return "ms_project";
        case PrefillPart::kCompress:
            return "ms_compress";
        case PrefillPart::kCompressed:
            return "ms_cmp";
        case PrefillPart::kSelect:
            return "ms_select";
        case PrefillPart::kSelected:
            return "ms_sel";
        case PrefillPart::kSliding:
            return "ms_win";
        case PrefillPart::kCombine:
            break;
    }
    return "ms_combine";
}

VisiblePairs visible_pairs(const NsaConfig& config, std::int64_t seq) {
    VisiblePairs pairs;
    for (std::int64_t t = 0; t < seq; ++t) {
        const Reads reads = expected_reads(t, config);
        pairs.cmp += as_double(reads.cmp);
        pairs.sel += as_double(reads.sel);
        pairs.win += as_double(reads.win);
    }
    return pairs;
}

Work part_work(PrefillPart part, Pass pass, const PrefillShape& s) {
    return of_pass(pass, [&](Pass way) { return one_way(part, way, s); });
}

Work prefill_work(Pass pass, const PrefillShape& s) {
    return of_pass(pass, [&](Pass way) { return whole_one_way(way, s); });
}

}  // namespace nsa::core::bench
