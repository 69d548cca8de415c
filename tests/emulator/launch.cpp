#include "emulator/launch.hpp"

#include <algorithm>
#include <numeric>
#include <utility>

#include "emulator/collectives.hpp"
#include "emulator/crash.hpp"
#include "emulator/machine.hpp"

namespace nsa::emulator {
namespace {

StackPool& stacks() {
    static StackPool pool;
    return pool;
}

uint3 index_in(const dim3& size, unsigned flat) {
    return {flat % size.x, flat / size.x % size.y, flat / size.x / size.y};
}

// What a lane's fiber does. A fault ends the launch; see run_warp.
void run_lane(Gang& gang, const std::function<void()>& kernel) {
    try {
        kernel();
        end_lane();
    } catch (const std::exception&) {
        gang.fault = std::current_exception();
        if (current != nullptr) current->warp->runnable = 0;
    }
}

std::unique_ptr<Block> make_block(Gang& gang, uint3 index, int rank, std::size_t shared_bytes,
                                  const std::function<void()>& kernel) {
    auto block = std::make_unique<Block>();
    block->gang = &gang;
    block->index = index;
    block->rank = rank;
    block->shared.resize(shared_bytes);
    const unsigned threads = gang.block_size.x * gang.block_size.y * gang.block_size.z;
    for (unsigned thread = 0; thread < threads; ++thread) {
        if (thread % kLanes == 0) {
            block->warps.push_back(std::make_unique<Warp>());
            block->warps.back()->block = block.get();
            block->warps.back()->index = static_cast<int>(thread / kLanes);
        }
        Warp& warp = *block->warps.back();
        auto lane = std::make_unique<Lane>();
        lane->warp = &warp;
        lane->index = static_cast<int>(thread % kLanes);
        lane->thread = index_in(gang.block_size, thread);
        lane->fiber = std::make_unique<Fiber>(stacks(), [&gang, &kernel] { run_lane(gang, kernel); });
        warp.live |= lane->bit();
        warp.runnable |= lane->bit();
        warp.lanes.push_back(std::move(lane));
    }
    block->live = static_cast<int>(threads);
    gang.live += static_cast<int>(threads);
    return block;
}

// Numbers of the gangs in the order in which they run.
std::vector<unsigned> order_of(unsigned count, Schedule& schedule) {
    std::vector<unsigned> order;
    std::vector<unsigned> left(count);
    std::iota(left.begin(), left.end(), 0U);
    for (; !left.empty();) {
        const std::size_t at = schedule.pick(left.size());
        order.push_back(left[at]);
        left.erase(left.begin() + static_cast<std::ptrdiff_t>(at));
    }
    return order;
}

void check(const Launch& launch) {
    const unsigned threads = launch.block.x * launch.block.y * launch.block.z;
    const auto refuse = [&](const std::string& why) {
        throw KernelFault{"launch of kernel " + launch.name + ": " + why};
    };
    if (threads == 0 || threads > 1024) refuse(std::to_string(threads) + " threads in a thread block");
    if (launch.grid.x == 0 || launch.grid.y == 0 || launch.grid.z == 0) refuse("an empty grid");
    if (launch.grid.y > 65535 || launch.grid.z > 65535) refuse("a grid side above 65535");
    if (launch.cluster == 0 || launch.cluster > 16 || launch.grid.x % launch.cluster != 0)
        refuse("a grid of " + std::to_string(launch.grid.x) + " in clusters of " +
               std::to_string(launch.cluster));
    if (launch.shared_bytes > 227 * 1024)
        refuse(std::to_string(launch.shared_bytes) + " bytes of shared memory");
}

}  // namespace

Counters launch(const Launch& launch, const std::function<void()>& kernel, std::function<void()> previous) {
    check(launch);
    report_crashes();
    Counters counters{.shared_bytes = launch.shared_bytes};
    const unsigned blocks = launch.grid.x * launch.grid.y * launch.grid.z;
    const unsigned together = launch.cooperative ? blocks : launch.cluster;
    Schedule schedule{launch.seed};
    for (const unsigned number : order_of(blocks / together, schedule)) {
        Gang gang;
        gang.kernel = launch.name;
        gang.grid = launch.grid;
        gang.block_size = launch.block;
        gang.cluster = launch.cluster;
        gang.schedule = Schedule{launch.seed < 2 ? launch.seed : launch.seed + 1000003 * number};
        gang.counters = &counters;
        gang.previous = std::exchange(previous, nullptr);
        for (unsigned i = 0; i < together; ++i) {
            const unsigned flat = number * together + i;
            gang.blocks.push_back(make_block(gang, index_in(launch.grid, flat),
                                             static_cast<int>(flat % launch.cluster), launch.shared_bytes,
                                             kernel));
        }
        counters.blocks += together;
        run(gang);
        previous = std::move(gang.previous);
    }
    if (previous) previous();
    return counters;
}

}  // namespace nsa::emulator
