#include "nsa_core/train/sampling.hpp"

#include <algorithm>
#include <utility>

#include "nsa_core/errors.hpp"

namespace nsa::core::train {

WindowSampler sampler_of(const std::string& data, std::int64_t seq, std::int64_t seed) {
    constexpr std::size_t kSyntheticBytes = std::size_t{1} << 20;
    const auto window = static_cast<std::size_t>(seq) + 1;
    const auto start = static_cast<std::uint64_t>(seed);
    if (data == "synthetic")
        return {synthetic_bytes(std::max(kSyntheticBytes, window), start), window, start};
    std::vector<std::uint8_t> bytes = file_bytes(data);
    if (bytes.empty()) throw InputError{"--data " + data + " is empty; give a file with text, or synthetic"};
    if (bytes.size() < window) {
        throw InputError{"--data " + data + " has " + std::to_string(bytes.size()) + " bytes; --seq " +
                         std::to_string(seq) + " needs a file of at least " + std::to_string(window)};
    }
    return {std::move(bytes), window, start};
}

}  // namespace nsa::core::train
