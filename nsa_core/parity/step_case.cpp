#include "nsa_core/parity/step_case.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <limits>

#include "nsa_core/attention.hpp"
#include "nsa_core/device.hpp"
#include "nsa_core/parity/metrics.hpp"

namespace nsa::core::parity {
namespace {

constexpr std::int64_t kSparePages = 3;  // never handed out

std::int64_t pages_for(std::int64_t position, std::int64_t page_tokens) {
    return position / page_tokens + 1;  // the step's token included; 0 for position -1 is not asked
}

PagedCacheSize size_of(const StepCase& c) {
    PagedCacheSize size{.batch = std::ssize(c.positions), .page_tokens = c.page_tokens, .pages = kSparePages};
    for (const std::int64_t position : c.positions) {
        size.max_tokens = std::max(size.max_tokens, position + 1);
        if (position >= 0) size.pages += pages_for(position, c.page_tokens);
    }
    size.max_tokens = std::max<std::int64_t>(size.max_tokens, 1);
    return size;
}

std::vector<std::int32_t> shuffled_pages(std::int64_t pages, at::Generator& generator) {
    const at::Tensor order = at::randperm(pages, generator, at::TensorOptions{at::kInt});
    return {order.const_data_ptr<std::int32_t>(), order.const_data_ptr<std::int32_t>() + pages};
}

// One branch of one sequence: its rows so far and the step's.
struct BranchRows {
    KeysValues past;  // [G, position, c]
    KeysValues next;  // [G, c]
};

class Source {
  public:
    Source(const StepCase& c, at::Generator& generator)
        : case_{c},
          options_{scalar_type(c.dtype)},
          generator_{generator},
          magnitude_{magnitude_of(c.data, c.dtype)} {}

    at::Tensor normal(at::IntArrayRef shape, double factor) const {
        return (at::randn(shape, generator_, at::TensorOptions{at::kDouble}) * factor).to(options_);
    }

    at::Tensor queries() const {
        return normal({std::ssize(case_.positions), case_.config.heads, case_.config.dk}, magnitude_.key);
    }

    // Head h of sequence b gates branch (h + b) mod 4 alone; those with 3 mix.
    at::Tensor gates() const {
        const std::int64_t batch = std::ssize(case_.positions);
        at::Tensor gates =
            at::rand({batch, case_.config.heads, 3}, generator_, at::TensorOptions{at::kDouble});
        for (std::int64_t b = 0; b < batch; ++b) {
            for (std::int64_t h = 0; h < case_.config.heads; ++h) {
                const std::int64_t alone = (h + b) % 4;
                if (alone == 3) continue;
                gates[b][h].zero_();
                gates[b][h][alone] = 1;
            }
        }
        return gates.to(options_);
    }

    BranchRows branch(std::int64_t position) const {
        const std::int64_t tokens = std::max<std::int64_t>(position, 0) + 1;
        const NsaConfig& config = case_.config;
        const bool equal = case_.data == StepData::kEqualKeys;
        const at::Tensor k = normal({config.groups, equal ? 1 : tokens, config.dk}, magnitude_.key)
                                 .expand({config.groups, tokens, config.dk});
        const at::Tensor v = normal({config.groups, tokens, config.dv}, magnitude_.value);
        return {.past = {.k = k.narrow(1, 0, tokens - 1), .v = v.narrow(1, 0, tokens - 1)},
                .next = {.k = k.select(1, tokens - 1), .v = v.select(1, tokens - 1)}};
    }

  private:
    const StepCase& case_;
    at::TensorOptions options_;
    at::Generator& generator_;
    Magnitude magnitude_;
};

void poison(const KeysValues& rows) {
    rows.k.fill_(std::numeric_limits<double>::quiet_NaN());
    rows.v.fill_(std::numeric_limits<double>::quiet_NaN());
}

KeysValues compressed(const KeysValues& raw, const NsaConfig& config) {
    return {.k = compress_mean(raw.k.unsqueeze(0), config)[0],
            .v = compress_mean(raw.v.unsqueeze(0), config)[0]};
}

KeysValues stacked(const std::vector<KeysValues>& rows) {
    std::vector<at::Tensor> k;
    std::vector<at::Tensor> v;
    for (const KeysValues& row : rows) {
        k.push_back(row.k);
        v.push_back(row.v);
    }
    return {.k = at::stack(k), .v = at::stack(v)};
}

PagedCache poisoned_cache(const StepCase& c, at::Generator& generator) {
    const PagedCacheSize size = size_of(c);
    PagedCache cache{c.config, size, at::TensorOptions{scalar_type(c.dtype)},
                     shuffled_pages(size.pages, generator)};
    for (const KeysValues* rows : {&cache.raw(), &cache.cmp(), &cache.sel(), &cache.win()})
        poison(*rows);
    return cache;
}

PagedStepInputs fill(PagedCache& cache, const StepCase& c, const Source& source) {
    std::vector<KeysValues> raw;
    std::vector<KeysValues> sel;
    std::vector<KeysValues> win;
    for (std::int64_t b = 0; b < std::ssize(c.positions); ++b) {
        const std::int64_t position = c.positions[static_cast<std::size_t>(b)];
        const BranchRows raw_rows = source.branch(position);
        const BranchRows sel_rows = source.branch(position);
        const BranchRows win_rows = source.branch(position);
        raw.push_back(raw_rows.next);
        sel.push_back(sel_rows.next);
        win.push_back(win_rows.next);
        if (position < 0) continue;
        cache.fill(b, {.raw = raw_rows.past,
                       .cmp = compressed(raw_rows.past, c.config),
                       .sel = sel_rows.past,
                       .win = win_rows.past});
        cache.reserve(b, position + 1);
    }
    return {.q = source.queries(),
            .gates = source.gates(),
            .raw = stacked(raw),
            .sel = stacked(sel),
            .win = stacked(win)};
}

}  // namespace

Magnitude magnitude_of(StepData data, DType dtype) {
    const bool narrow = dtype == DType::kFp16;
    switch (data) {
        case StepData::kTiny:
            return {.key = 1e-3, .value = narrow ? 1e-4 : 1e-20};
        case StepData::kHuge:
            return {.key = narrow ? 24.5 : 50.0, .value = 1};
        case StepData::kNormal:
        case StepData::kEqualKeys:
            break;
    }
    return {};
}

// Members initialise in order: the cache draws the order of its pages first, then everything else is drawn.
StepProblem::StepProblem(const StepCase& c)
    : cache{[&] {
          at::Generator generator = seeded_generator(c.seed);
          return poisoned_cache(c, generator);
      }()} {
    at::Generator generator = second_generator(c.seed);
    in = fill(cache, c, Source{c, generator});
}

}  // namespace nsa::core::parity
