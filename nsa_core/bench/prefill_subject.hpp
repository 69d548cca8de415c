// What is timed at one sequence length: attention by itself, or the whole layer.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "nsa_core/bench/prefill_floor.hpp"
#include "nsa_core/bench/prefill_pieces.hpp"

namespace nsa::core::bench {

// Parts and peers hold tensors of their own, so they are made after the memory of the whole was looked at.
struct Subject {
    using Make = std::function<std::vector<Piece>()>;

    Piece whole;
    Make parts;
    Make peers;  // empty for the layer: its projections would be held against attention alone
    std::map<int, double> unique_blocks;  // by tokens that share (prefill_rows.hpp)
    PrefillShape shape;
};

[[nodiscard]] RoutesTaken choose_prefill_routes(const PrefillBenchOptions& options, const NsaConfig& config,
                                                std::int64_t seq, at::Device device,
                                                const RoutePolicy& policy);

/// Why the route that was asked for does not run; nothing: it does, at every length. FlashAttention-2 has no
/// selected branch, so that one alone may differ. Throws InputError when an environment flag contradicts the
/// route.
[[nodiscard]] std::optional<std::string> unavailable(const PrefillBenchOptions& options,
                                                     const NsaConfig& config, at::Device device,
                                                     const RoutePolicy& policy);

[[nodiscard]] Subject attention_subject(const PrefillBenchOptions& options, const NsaConfig& config,
                                        std::int64_t seq, at::TensorOptions tensor_options,
                                        const RoutesTaken& routes);

/// `module` must outlive the subject.
[[nodiscard]] Subject module_subject(const PrefillBenchOptions& options, const NSAAttention& module,
                                     std::int64_t seq, at::TensorOptions tensor_options,
                                     const RoutesTaken& routes);

}  // namespace nsa::core::bench
