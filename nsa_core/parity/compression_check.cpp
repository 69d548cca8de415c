#include "nsa_core/parity/compression_check.hpp"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <cmath>
#include <sstream>

#include "nsa_core/device.hpp"
#include "nsa_core/geometry.hpp"
#include "nsa_core/parity/guarded_kernels.hpp"
#include "nsa_core/parity/metrics.hpp"
#include "nsa_core/routes/cuda_compression_autograd.hpp"

namespace nsa::core::parity {
namespace {

using Tensors = std::vector<at::Tensor>;

constexpr const char* kNames[] = {"k",      "v",      "d_k",    "d_v",    "d_k_position",
                                  "d_k_w1", "d_k_b1", "d_k_w2", "d_k_b2", "d_v_position",
                                  "d_v_w1", "d_v_b1", "d_v_w2", "d_v_b2"};

// Guarded memory, and the largest piece of it.
class MeasuredKernels : public GuardedKernels {
  public:
    using GuardedKernels::GuardedKernels;
    at::Tensor empty(at::IntArrayRef sizes, at::TensorOptions options) const override {
        largest_ = std::max(largest_, c10::multiply_integers(sizes));
        return GuardedKernels::empty(sizes, options);
    }
    [[nodiscard]] std::int64_t largest() const { return largest_; }

  private:
    mutable std::int64_t largest_ = 0;
};

// Rows, then the weights of keys and of values; and the gradients of the results.
struct Problem {
    Tensors leaves;
    Tensors d_out;

    [[nodiscard]] KeysValues rows() const { return {.k = leaves[0], .v = leaves[1]}; }
    [[nodiscard]] PhiPair phi() const {
        const auto side = [this](std::size_t i) {
            return PhiWeights{.position = leaves[i],
                              .w1 = leaves[i + 1],
                              .b1 = leaves[i + 2],
                              .w2 = leaves[i + 3],
                              .b2 = leaves[i + 4]};
        };
        return {.k = side(2), .v = side(7)};
    }
    // The same numbers as leaves of their own.
    [[nodiscard]] Problem as(at::Device device, at::ScalarType type) const {
        Problem p;
        for (const at::Tensor& x : leaves)
            p.leaves.push_back(
                x.to(device, type, /*non_blocking=*/false, /*copy=*/true).requires_grad_(true));
        for (const at::Tensor& x : d_out)
            p.d_out.push_back(x.to(device, type));
        return p;
    }
};

Problem drawn(const CompressionCase& c) {
    const NsaConfig config = c.config();
    at::Generator generator = seeded_generator(5);
    const auto normal = [&](at::IntArrayRef sizes, double size) {
        return (random_normal(sizes, generator, at::kDouble) * size).to(scalar_type(c.dtype));
    };
    std::int64_t tokens = 0;
    std::int64_t compressed = 0;
    for (const std::int64_t length : c.lengths) {
        tokens += length;
        compressed += compressed_count(length, config);
    }
    const auto batch = static_cast<std::int64_t>(c.packed ? 1 : c.lengths.size());
    Problem p;
    for (const std::int64_t width : {c.dk, c.dv}) {
        p.leaves.push_back(normal({batch, tokens / batch, config.groups, width}, 1).transpose(1, 2));
        p.d_out.push_back(normal({batch, compressed / batch, config.groups, width}, 1).transpose(1, 2));
    }
    for (const std::int64_t width : {c.dk, c.dv}) {
        const std::int64_t block = config.l * width;
        p.leaves.push_back(normal({config.l, width}, 1));
        p.leaves.push_back(normal({c.hidden, block}, 1 / std::sqrt(static_cast<double>(block))));
        p.leaves.push_back(normal({c.hidden}, 1));
        p.leaves.push_back(normal({width, c.hidden}, 1 / std::sqrt(static_cast<double>(c.hidden))));
        p.leaves.push_back(normal({width}, 1));
    }
    return p;
}

// The results, then all gradients.
Tensors with_gradients(const Problem& p, const KeysValues& out) {
    Tensors all{out.k.detach(), out.v.detach()};
    ((out.k * p.d_out[0]).sum() + (out.v * p.d_out[1]).sum()).backward();
    for (const at::Tensor& leaf : p.leaves)
        all.push_back(leaf.grad().defined() ? leaf.grad() : at::zeros_like(leaf).detach());
    for (at::Tensor& x : all)
        x = x.cpu();
    return all;
}

Tensors by_kernels(const CompressionCase& c, const Problem& p, const PrefillKernels& kernels) {
    CudaCall call{.config = c.config(), .scale = 1, .packing = {}, .kernels = &kernels};
    if (c.packed) {
        std::vector<int> ends{0};
        for (const std::int64_t length : c.lengths)
            ends.push_back(ends.back() + static_cast<int>(length));
        call.packing =
            Packing::of(at::tensor(ends, at::kInt).to(p.leaves[0].device()),
                        *std::max_element(c.lengths.begin(), c.lengths.end()), ends.back(), c.config());
    }
    const KeysValues out = cuda_compress_mlp(p.rows(), p.phi(), call);
    const std::int64_t count = p.d_out[0].size(2);  // behind them there may be room
    return with_gradients(p, {.k = out.k.narrow(2, 0, count), .v = out.v.narrow(2, 0, count)});
}

// Each packed sequence by itself.
Tensors by_libtorch(const CompressionCase& c, const Problem& p) {
    const auto compressed = [&](const at::Tensor& rows, const PhiWeights& phi) {
        if (!c.packed) return compress_mlp(rows, phi, c.config());
        Tensors all;
        std::int64_t first = 0;
        for (const std::int64_t length : c.lengths) {
            all.push_back(compress_mlp(rows.narrow(2, first, length), phi, c.config()));
            first += length;
        }
        return at::cat(all, 2);
    };
    return with_gradients(p,
                          {.k = compressed(p.leaves[0], p.phi().k), .v = compressed(p.leaves[1], p.phi().v)});
}

}  // namespace

NsaConfig CompressionCase::config() const {
    NsaConfig c;
    c.heads = c.groups = 2;
    c.dk = dk;
    c.dv = dv;
    c.l = l;
    c.d = d;
    c.compressor = Compressor::kMlp;
    c.phi_hidden = hidden;
    return c;
}

CompressionReport check_compression(const CompressionCase& c, at::Device device,
                                    const PrefillKernels& kernels) {
    const c10::AutoGradMode on{true};
    const Problem p = drawn(c);
    const MeasuredKernels measured{kernels};
    const at::ScalarType type = scalar_type(c.dtype);
    const Tensors ours = by_kernels(c, p.as(device, type), measured);
    const Tensors again = by_kernels(c, p.as(device, type), measured);
    const Tensors plain = by_libtorch(c, p.as(at::kCPU, type));
    const Tensors truth = by_libtorch(c, p.as(at::kCPU, at::kDouble));
    CompressionReport report;
    report.canary_hits = measured.canary_hits();
    report.largest = measured.largest();
    for (std::size_t i = 0; i < truth.size(); ++i) {
        report.bound_ratios.emplace_back(kNames[i], bound_ratio(ours[i], plain[i], truth[i], c.dtype));
        report.rerun_differences += at::equal(ours[i], again[i]) ? 0 : 1;
    }
    return report;
}

bool CompressionReport::clean() const {
    return canary_hits == 0 && rerun_differences == 0 &&
           std::all_of(bound_ratios.begin(), bound_ratios.end(), [](const auto& r) { return r.second <= 1; });
}

std::string CompressionReport::text() const {
    std::ostringstream out;
    out << canary_hits << " canary bytes written, " << rerun_differences
        << " rerun differences; share of the bound:";
    for (const auto& [name, ratio] : bound_ratios)
        out << ' ' << name << ' ' << ratio;
    return out.str();
}

}  // namespace nsa::core::parity
