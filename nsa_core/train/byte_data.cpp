#include "nsa_core/train/byte_data.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <stdexcept>
#include <utility>

#include "nsa_core/errors.hpp"

namespace nsa::core::train {
namespace {

// SplitMix64 (Steele, Lea, Flood 2014): one word of state, and every seed is a good seed.
std::uint64_t next_random(std::uint64_t& state) {
    state += 0x9E3779B97F4A7C15u;
    std::uint64_t z = state;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

// Uniform in [0, bound). The bias of the remainder is below bound / 2^64.
std::size_t below(std::uint64_t& state, std::size_t bound) {
    return next_random(state) % bound;
}

double unit(std::uint64_t& state) {
    return static_cast<double>(next_random(state) >> 11) * 0x1.0p-53;
}

}  // namespace

std::vector<std::uint8_t> synthetic_bytes(std::size_t count, std::uint64_t seed) {
    constexpr std::size_t kWords = 64;
    std::uint64_t state = seed;
    std::vector<std::string> words(kWords);
    std::vector<double> cumulative;
    double total = 0;
    for (std::size_t rank = 0; rank < kWords; ++rank) {
        const std::size_t letters = 2 + below(state, 6);
        for (std::size_t i = 0; i < letters; ++i)
            words[rank] += static_cast<char>('a' + below(state, 26));
        total += 1.0 / static_cast<double>(rank + 1);
        cumulative.push_back(total);
    }

    std::vector<std::uint8_t> bytes;
    bytes.reserve(count + 8);
    while (bytes.size() < count) {
        const auto place = std::upper_bound(cumulative.begin(), cumulative.end(), unit(state) * total);
        const auto rank = std::min<std::size_t>(place - cumulative.begin(), kWords - 1);
        bytes.insert(bytes.end(), words[rank].begin(), words[rank].end());
        bytes.push_back(' ');
    }
    bytes.resize(count);
    return bytes;
}

std::vector<std::uint8_t> file_bytes(const std::string& path) {
    std::ifstream file{path, std::ios::binary};
    std::vector<std::uint8_t> bytes;
    std::array<char, 65536> chunk{};
    while (file.read(chunk.data(), chunk.size()), file.gcount() > 0) {
        bytes.insert(bytes.end(), chunk.begin(), chunk.begin() + file.gcount());
    }
    // A folder opens, and fails only when read.
    if (!file.is_open() || file.bad()) {
        throw InputError{"--data: cannot read " + path + ": " + std::strerror(errno) +
                         "; give a readable file, or synthetic"};
    }
    return bytes;
}

WindowSampler::WindowSampler(std::vector<std::uint8_t> data, std::size_t length, std::uint64_t seed)
    : data_{std::move(data)}, length_{length}, state_{seed} {
    if (data_.size() < length_) {
        throw std::invalid_argument{"the training data has " + std::to_string(data_.size()) +
                                    " bytes, one window needs " + std::to_string(length_)};
    }
}

std::vector<std::int64_t> WindowSampler::draw(std::size_t count) {
    std::vector<std::int64_t> tokens;
    tokens.reserve(count * length_);
    for (std::size_t window = 0; window < count; ++window) {
        const auto start = static_cast<std::ptrdiff_t>(below(state_, data_.size() - length_ + 1));
        const auto first = data_.begin() + start;
        tokens.insert(tokens.end(), first, first + static_cast<std::ptrdiff_t>(length_));
    }
    return tokens;
}

}  // namespace nsa::core::train
