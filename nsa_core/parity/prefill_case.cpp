#include "nsa_core/parity/prefill_case.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <limits>
#include <numeric>

#include "nsa_core/device.hpp"
#include "nsa_core/geometry.hpp"
#include "nsa_core/parity/metrics.hpp"
#include "nsa_core/parity/step_case.hpp"

namespace nsa::core::parity {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

// A view of the values in NaNs: rows before and behind, and a gap of 16 bytes between rows.
at::Tensor amid_nans(const at::Tensor& values) {
    constexpr std::int64_t kGap = 8;
    const at::Tensor memory = at::full(
        {values.size(0), values.size(2) + 2, values.size(1), values.size(3) + kGap}, kNan, values.options());
    at::Tensor view = memory.narrow(1, 1, values.size(2)).narrow(3, 0, values.size(3)).transpose(1, 2);
    view.copy_(values);
    return view;
}

class Source {
  public:
    explicit Source(const PrefillCase& c)
        : case_{c},
          batch_{c.packed ? 1 : std::ssize(c.lengths)},
          length_{c.packed ? c.tokens() : c.longest()},
          factors_{magnitude_of(c.data, c.dtype)},
          generator_{seeded_generator(c.seed)} {}

    at::Tensor queries() { return rows(case_.config.heads, case_.config.dk, factors_.key); }
    at::Tensor d_out() { return rows(case_.config.heads, case_.config.dv, 1); }
    KeysValues branch() {
        at::Tensor k = draw(case_.config.groups, length_, case_.config.dk, factors_.key);
        if (case_.data == StepData::kEqualKeys) k = k.narrow(2, 0, 1).expand_as(k);
        return {.k = view(k), .v = rows(case_.config.groups, case_.config.dv, factors_.value)};
    }
    // Head h passes branch h mod 4 alone; those with 3 mix.
    at::Tensor gates() {
        const std::int64_t heads = case_.config.heads;
        at::Tensor gates = at::rand({batch_, heads, length_, 3}, generator_, at::TensorOptions{at::kDouble});
        for (std::int64_t h = 0; h < heads; ++h) {
            if (h % 4 == 3) continue;
            gates.select(1, h).zero_();
            gates.select(1, h).select(-1, h % 4).fill_(1);
        }
        return gates.to(scalar_type(case_.dtype));
    }

  private:
    at::Tensor draw(std::int64_t heads, std::int64_t length, std::int64_t width, double factor) {
        return at::randn({batch_, heads, length, width}, generator_, at::TensorOptions{at::kDouble}) * factor;
    }
    at::Tensor view(const at::Tensor& values) const { return amid_nans(values.to(scalar_type(case_.dtype))); }
    at::Tensor rows(std::int64_t heads, std::int64_t width, double factor) {
        return view(draw(heads, length_, width, factor));
    }

    const PrefillCase& case_;
    std::int64_t batch_;
    std::int64_t length_;
    Magnitude factors_;
    at::Generator generator_;
};

at::Tensor ends_of(const std::vector<std::int64_t>& counts) {
    std::vector<std::int32_t> ends{0};
    for (const std::int64_t count : counts)
        ends.push_back(ends.back() + static_cast<std::int32_t>(count));
    return at::tensor(ends, at::kInt);
}

}  // namespace

std::int64_t PrefillCase::tokens() const {
    return std::accumulate(lengths.begin(), lengths.end(), std::int64_t{0});
}
std::int64_t PrefillCase::longest() const {
    return *std::max_element(lengths.begin(), lengths.end());
}

PrefillProblem::PrefillProblem(const PrefillCase& c) {
    Source source{c};
    in.q = source.queries();
    in.raw = source.branch();
    in.sel = source.branch();
    in.win = source.branch();
    in.gates = source.gates();
    d_out = source.d_out();
    std::vector<std::int64_t> compressed;
    for (const std::int64_t length : c.lengths)
        compressed.push_back(compressed_count(length, c.config));
    cu_tokens = ends_of(c.lengths);
    cu_compressed = ends_of(compressed);
}

PrefillProblem on_device(const PrefillProblem& problem, at::Device device) {
    if (device.is_cpu()) return problem;
    PrefillProblem there = copied_to(problem, device);
    const at::Tensor gates = there.in.gates;
    for_each_tensor(there.in, [](at::Tensor& x) { x = amid_nans(x); });
    there.in.gates = gates;
    there.d_out = amid_nans(there.d_out);
    return there;
}

PrefillProblem copied_to(const PrefillProblem& problem, at::Device device) {
    PrefillProblem there = problem;
    const auto copied = [device](const at::Tensor& x) {  // token-major
        return x.transpose(1, 2).contiguous().to(device).transpose(1, 2);
    };
    for_each_tensor(there.in, [&](at::Tensor& x) { x = copied(x); });
    there.d_out = copied(problem.d_out);
    there.cu_tokens = problem.cu_tokens.to(device);
    there.cu_compressed = problem.cu_compressed.to(device);
    return there;
}

void for_each_tensor(PrefillTensors& tensors, const std::function<void(at::Tensor&)>& with) {
    for (at::Tensor* tensor : {&tensors.q, &tensors.raw.k, &tensors.raw.v, &tensors.sel.k, &tensors.sel.v,
                               &tensors.win.k, &tensors.win.v, &tensors.gates}) {
        with(*tensor);
    }
}

}  // namespace nsa::core::parity
