// The threads of the emulated device: lanes in warps in thread blocks in a gang, which is what runs at the
// same time (a cluster, or all of a cooperative launch; else one thread block). All of a gang run on one OS
// thread, a lane each on a fiber of its own.
#pragma once

#include <vector_types.h>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "emulator/copies.hpp"
#include "emulator/counters.hpp"
#include "emulator/fiber.hpp"
#include "emulator/named_barrier.hpp"
#include "emulator/schedule.hpp"
#include "emulator/shared_memory.hpp"
#include "emulator/warpgroup.hpp"

// As in CUDA; of the lane that runs. Objects, because launchers use members of these names.
inline uint3 threadIdx;
inline uint3 blockIdx;
inline dim3 blockDim;
inline dim3 gridDim;

namespace nsa::emulator {

inline constexpr int kLanes = 32;

struct Warp;
struct Block;
struct Gang;

struct Lane {
    std::unique_ptr<Fiber> fiber;
    Warp* warp = nullptr;
    int index = 0;  // in its warp
    uint3 thread{};
    const char* waits_at = nullptr;  // the name of a collective
    void* deposit = nullptr;         // its arguments there
    PendingCopies copies;
    std::int64_t fenced_at = 0;  // for the asynchronous proxy, by the clock of the block
    bool at_block_barrier = false;
    bool at_cluster_barrier = false;  // has arrived and not waited
    std::uint64_t cluster_phase = 0;  // in which it arrived
    bool met_cluster = false;         // has passed a cluster barrier: every thread block of it runs

    [[nodiscard]] std::uint32_t bit() const { return 1U << index; }
};

/// A collective of some lanes of a warp that not all have reached.
struct Rendezvous {
    const char* name;
    std::uint32_t mask;
    std::uint32_t arrived;
};

struct Warp {
    Block* block = nullptr;
    int index = 0;
    std::vector<std::unique_ptr<Lane>> lanes;
    std::uint32_t live = 0;
    std::uint32_t runnable = 0;
    std::uint32_t spinning = 0;  // runnable once every other lane of the gang has had its turn
    std::vector<Rendezvous> open;
    PendingProducts products;
    bool takes_off = false;
};

struct Block {
    Gang* gang = nullptr;
    uint3 index{};
    int rank = 0;  // in its cluster
    std::vector<std::unique_ptr<Warp>> warps;
    int live = 0;
    SharedMemory shared;
    bool started = false;

    // The barrier of all its live threads: who is there, and what the threads said.
    const char* barrier = nullptr;
    int arrived = 0;
    int said = 0;
    int answer = 0;

    NamedBarrier named_barriers[16];
    std::vector<ProductOrder> product_orders;  // of its warpgroups
    std::int64_t clock = 0;                    // of copies that land and fences between the proxies
};

struct Gang {
    std::string kernel;
    dim3 grid;
    dim3 block_size;
    unsigned cluster = 1;
    std::vector<std::unique_ptr<Block>> blocks;
    Schedule schedule{0};
    Counters* counters = nullptr;
    int live = 0;
    int cluster_arrived = 0;
    std::uint64_t cluster_phase = 0;
    std::function<void()> previous;  // the kernel ahead, while it has not run
    std::exception_ptr fault;        // of a lane
};

/// The lane that runs, while a kernel does.
inline Lane* current = nullptr;

[[nodiscard]] inline Block& current_block() {
    return *current->warp->block;
}
[[nodiscard]] inline Gang& current_gang() {
    return *current_block().gang;
}

/// Runs all lanes of a gang to their end. Throws KernelFault.
void run(Gang& gang);

/// From within a kernel. The current lane stops until wake(); `name` is what it waits at.
void wait_at(const char* name);
void wake(Lane& lane);
/// The warp may be taken off here for another one.
void may_take_off();
/// Lets every other lane of the gang go on: what a loop calls that waits for memory to change.
void spin();

/// "kernel k, thread block (0, 0, 0), warp 1, lane 2".
[[nodiscard]] std::string place_of(const Lane& lane);

}  // namespace nsa::emulator
