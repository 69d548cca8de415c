// Runs the lanes of a gang: one at a time, in the order that the schedule draws.
#include <algorithm>
#include <utility>

#include "emulator/collectives.hpp"
#include "emulator/error.hpp"
#include "emulator/machine.hpp"

namespace nsa::emulator {
namespace {

// Rounds of lanes that spin and find nothing new, before that is called a deadlock.
constexpr int kMostSpins = 10000;

std::string text(const uint3& index) {
    return "(" + std::to_string(index.x) + ", " + std::to_string(index.y) + ", " + std::to_string(index.z) +
           ")";
}

std::vector<Warp*> warps_of(Gang& gang) {
    std::vector<Warp*> all;
    for (const auto& block : gang.blocks)
        for (const auto& warp : block->warps)
            all.push_back(warp.get());
    return all;
}

// Where lanes wait that never go on: the first few places, and how many there are.
std::string deadlock(const std::vector<Warp*>& warps) {
    constexpr int kNamed = 4;
    std::string places;
    int count = 0;
    for (const Warp* warp : warps) {
        for (const auto& lane : warp->lanes) {
            if ((warp->live & lane->bit()) == 0 || count++ >= kNamed) continue;
            places += "; " + place_of(*lane) + " waits at " + (lane->waits_at ? lane->waits_at : "a load");
        }
    }
    return std::to_string(count) + " threads wait for one another" + places;
}

Warp* next_warp(const std::vector<Warp*>& warps, Schedule& schedule) {
    const auto ready = [](const Warp* warp) { return warp->runnable != 0; };
    const auto count = static_cast<std::size_t>(std::ranges::count_if(warps, ready));
    if (count == 0) return nullptr;
    auto next = std::ranges::find_if(warps, ready);
    for (std::size_t skip = schedule.pick(count); skip > 0; --skip)
        next = std::find_if(next + 1, warps.end(), ready);
    return *next;
}

bool wake_spinning(const std::vector<Warp*>& warps) {
    bool any = false;
    for (Warp* warp : warps) {
        any = any || warp->spinning != 0;
        warp->runnable |= std::exchange(warp->spinning, 0U);
    }
    return any;
}

// The kernel ahead runs when everybody who still lives waits for it or for somebody who does.
bool run_previous(Gang& gang, const std::vector<Warp*>& warps) {
    if (!gang.previous) return false;
    std::exchange(gang.previous, nullptr)();
    for (Warp* warp : warps)
        for (const auto& lane : warp->lanes)
            if (lane->waits_at == kPreviousKernel) wake(*lane);
    return true;
}

void run_warp(Warp& warp, Schedule& schedule) {
    warp.takes_off = false;
    blockIdx = warp.block->index;
    blockDim = warp.block->gang->block_size;
    gridDim = warp.block->gang->grid;
    while (warp.runnable != 0 && !warp.takes_off) {
        Lane& lane = *warp.lanes[static_cast<std::size_t>(schedule.pick_bit(warp.runnable))];
        if (!warp.block->started) {
            warp.block->started = true;
            warp.block->shared.poison();  // what others sent before it ran is lost
        }
        current = &lane;
        threadIdx = lane.thread;
        lane.fiber->resume();
        current = nullptr;
        if (warp.block->gang->fault) std::rethrow_exception(warp.block->gang->fault);
    }
}

}  // namespace

std::string place_of(const Lane& lane) {
    const Block& block = *lane.warp->block;
    return "kernel " + block.gang->kernel + ", thread block " + text(block.index) + ", warp " +
           std::to_string(lane.warp->index) + ", lane " + std::to_string(lane.index);
}

void fail(const std::string& fault) {
    throw KernelFault{(current == nullptr ? "" : place_of(*current) + ": ") + fault};
}

void wait_at(const char* name) {
    Lane& lane = *current;
    lane.waits_at = name;
    lane.warp->runnable &= ~lane.bit();
    lane.fiber->step_back();
}

void wake(Lane& lane) {
    lane.waits_at = nullptr;
    lane.warp->runnable |= lane.bit();
}

void may_take_off() {
    Lane& lane = *current;
    if (!current_gang().schedule.takes_off()) return;
    lane.warp->takes_off = true;
    lane.fiber->step_back();
}

void spin() {
    Lane& lane = *current;
    lane.warp->runnable &= ~lane.bit();
    lane.warp->spinning |= lane.bit();
    lane.fiber->step_back();
}

void run(Gang& gang) {
    const std::vector<Warp*> warps = warps_of(gang);
    int spins = 0;
    while (gang.live > 0) {
        if (Warp* warp = next_warp(warps, gang.schedule)) {
            run_warp(*warp, gang.schedule);
        } else if (!run_previous(gang, warps) && !(wake_spinning(warps) && ++spins < kMostSpins)) {
            throw KernelFault{"kernel " + gang.kernel + ": " + deadlock(warps)};
        }
    }
}

}  // namespace nsa::emulator
