// Training data at byte level: a text file, or a synthetic language that is the same for the same seed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace nsa::core::train {

// Text with structure to learn: 64 random words of lower-case letters, drawn with Zipf frequencies and
// separated by blanks. A model that learns letter frequencies, then spelling, then word frequencies sees its
// loss fall from ln 256 = 5.55 in steps, within few optimiser steps at first.
[[nodiscard]] std::vector<std::uint8_t> synthetic_bytes(std::size_t count, std::uint64_t seed);

// Throws InputError, naming the file, when it cannot be read.
[[nodiscard]] std::vector<std::uint8_t> file_bytes(const std::string& path);

// Draws windows of `length` bytes at random places. The draw depends on nothing but seed and bytes: the
// generator is our own, because the distributions of <random> differ between standard libraries.
class WindowSampler {
  public:
    // Throws std::invalid_argument when the data is shorter than one window.
    WindowSampler(std::vector<std::uint8_t> data, std::size_t length, std::uint64_t seed);

    // `count` windows one after another, as token ids.
    [[nodiscard]] std::vector<std::int64_t> draw(std::size_t count);

  private:
    std::vector<std::uint8_t> data_;
    std::size_t length_;
    std::uint64_t state_;
};

}  // namespace nsa::core::train
