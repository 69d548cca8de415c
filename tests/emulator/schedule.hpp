// In which order threads run. A kernel without races gives the same result in every order; one with a race
// shows it in some.
#pragma once

#include <bit>
#include <cstdint>

namespace nsa::emulator {

/// Drawn from a seed: 0 runs warps, lanes and thread blocks in ascending order, each as far as it can; 1 in
/// descending order; any other seed draws the next one each time, and may take a warp off after any
/// collective.
class Schedule {
  public:
    explicit Schedule(std::uint64_t seed) : seed_{seed}, state_{seed} {}

    /// One of `count` candidates in ascending order.
    [[nodiscard]] std::size_t pick(std::size_t count) {
        if (seed_ == 0 || count < 2) return 0;
        return seed_ == 1 ? count - 1 : draw() % count;
    }
    /// One of the bits that are set.
    [[nodiscard]] int pick_bit(std::uint32_t bits) {
        if (seed_ == 0) return std::countr_zero(bits);
        if (seed_ == 1) return 31 - std::countl_zero(bits);
        const std::uint32_t above = bits & (~0U << (draw() % 32));
        return std::countr_zero(above != 0 ? above : bits);
    }
    /// Whether the running warp makes room for another one now.
    [[nodiscard]] bool takes_off() { return seed_ > 1 && draw() % 8 == 0; }
    /// Whether a dependent kernel starts before the one ahead of it has run.
    [[nodiscard]] bool starts_early() const { return seed_ > 0; }

  private:
    // splitmix64.
    std::uint64_t draw() {
        std::uint64_t z = state_ += 0x9E3779B97F4A7C15U;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9U;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBU;
        return z ^ (z >> 31);
    }

    std::uint64_t seed_;
    std::uint64_t state_;
};

}  // namespace nsa::emulator
