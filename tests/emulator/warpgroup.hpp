// The asynchronous products of a warpgroup (wgmma), as hostile as the PTX ISA allows. Each of its warps goes
// on alone and has its quarter of the rows; only that all four issue the same products is asked for. Operands
// in shared memory are read when a product is issued and again when it lands, in the wait that covers its
// group, and must be the same; until then its accumulators are NaN.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

namespace nsa::emulator {

struct Warp;
struct Block;

/// What is asked for, the same in all threads of a warpgroup.
struct Product {
    int columns = 0;  // n of m64nNk16
    bool transposed_right = false;
    bool accumulate = true;
    bool half = false;  // fp16, else bf16
    bool left_in_registers = false;
    std::uint64_t left = 0;  // descriptors
    std::uint64_t right = 0;

    friend bool operator==(const Product&, const Product&) = default;
};

/// The products of one warp that are under way.
class PendingProducts {
  public:
    struct Fragments {
        Product product;
        float* sums;                // of a lane: [columns / 8][4]
        const std::uint32_t* left;  // [4], or null
    };

    /// By the lane that arrives last, for all of its warp.
    void issue(Warp& warp);
    void fence() { fenced_ = true; }
    void commit() {
        ++committed_;
        fenced_ = false;
    }
    void wait(int pending);
    [[nodiscard]] std::size_t under_way() const { return issued_.size(); }

  private:
    static constexpr int kLanes = 32;
    static constexpr int kRows = 16;
    static constexpr int kDepth = 16;

    struct Operands {
        std::vector<std::uint16_t> left;   // [kRows][kDepth]
        std::vector<std::uint16_t> right;  // [kDepth][columns]

        friend bool operator==(const Operands&, const Operands&) = default;
    };
    struct Issued {
        Product product;
        int warp;  // of the warpgroup
        const float* sums;
        Operands operands;
        std::int64_t group;
    };
    struct Sums {
        float* of_lane[kLanes];
        int columns;
        int products;               // that will add to them
        std::vector<float> values;  // [kRows][columns]
    };

    Sums& sums_of(const Fragments& first);
    void land(const Issued& issued);
    static void give_back(const Sums& sums);
    static void read_shared(const Product& product, int warp, Operands& operands);

    std::deque<Issued> issued_;
    std::vector<Sums> sums_;  // under way
    std::int64_t committed_ = 0;
    bool fenced_ = false;
};

/// That the four warps of each warpgroup issue the same products in the same order.
class ProductOrder {
  public:
    /// The next one of warp `warp` of the warpgroup. A fault when another warp had another one there.
    void add(int warp, const Product& product);
    /// Whether all four issued all of them.
    [[nodiscard]] bool complete() const;

  private:
    std::deque<Product> products_;  // that some warp has yet to issue
    std::int64_t first_ = 0;        // number of the first of them
    std::int64_t counts_[4] = {};
};

/// The instructions; all lanes of a warp come together.
void warpgroup_product(const Product& product, float* sums, const std::uint32_t* left);
void warpgroup_fence();
void warpgroup_commit();
void warpgroup_wait(int pending);
/// setmaxnreg, of which nothing but its rules is checked.
void set_registers(int registers);

}  // namespace nsa::emulator
