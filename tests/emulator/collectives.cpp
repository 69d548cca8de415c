#include "emulator/collectives.hpp"

#include <algorithm>
#include <bit>
#include <string>
#include <utility>

#include "emulator/error.hpp"

namespace nsa::emulator {
namespace {

std::string lanes_text(std::uint32_t mask) {
    std::string text;
    for (; mask != 0; mask &= mask - 1)
        text += (text.empty() ? "" : ", ") + std::to_string(std::countr_zero(mask));
    return text;
}

// The collective that the current lane joins, new if no lane is there yet.
Rendezvous& joined(Warp& warp, const char* name, std::uint32_t mask) {
    if ((mask & current->bit()) == 0) fail(std::string{name} + " with a mask that lacks the lane itself");
    if ((mask & ~warp.live) != 0)
        fail(std::string{name} + " with lanes " + lanes_text(mask & ~warp.live) + ", which have ended");
    for (Rendezvous& other : warp.open) {
        if ((other.mask & mask) == 0) continue;
        if (other.name != name)
            fail(std::string{name} + " while lanes " + lanes_text(other.arrived) + " wait at " + other.name);
        if (other.mask != mask)
            fail(std::string{name} + " with lanes " + lanes_text(mask) + " while lanes " +
                 lanes_text(other.arrived) + " wait there with lanes " + lanes_text(other.mask));
        return other;
    }
    return warp.open.emplace_back(Rendezvous{name, mask, 0});
}

void open_block_barrier(Block& block) {
    block.answer = std::exchange(block.said, 0);
    block.arrived = 0;
    block.barrier = nullptr;
    ++block.gang->counters->block_barriers;
    for (const auto& warp : block.warps)
        for (const auto& lane : warp->lanes)
            if (lane->at_block_barrier) {
                lane->at_block_barrier = false;
                wake(*lane);
            }
}

void open_cluster_barrier(Gang& gang) {
    gang.cluster_arrived = 0;
    ++gang.cluster_phase;
    ++gang.counters->cluster_barriers;
    for (const auto& block : gang.blocks)
        for (const auto& warp : block->warps)
            for (const auto& lane : warp->lanes)
                if (lane->waits_at == kClusterWait) wake(*lane);
}

}  // namespace

bool arrive(const char* name, std::uint32_t mask, void* deposit) {
    Warp& warp = *current->warp;
    Rendezvous& meeting = joined(warp, name, mask);
    current->deposit = deposit;
    meeting.arrived |= current->bit();
    if (meeting.arrived == mask) return true;
    wait_at(name);
    return false;
}

void leave(std::uint32_t mask) {
    Warp& warp = *current->warp;
    std::erase_if(warp.open, [&](const Rendezvous& meeting) { return meeting.mask == mask; });
    for (std::uint32_t rest = mask; rest != 0; rest &= rest - 1)
        wake(*warp.lanes[static_cast<std::size_t>(std::countr_zero(rest))]);
}

void meet(const char* name, std::uint32_t mask) {
    if (arrive(name, mask, nullptr)) leave(mask);
    may_take_off();
}

int block_barrier(const char* name, int says) {
    Block& block = current_block();
    if (block.barrier != nullptr && block.barrier != name)
        fail(std::string{name} + " while other threads of the block wait at " + block.barrier);
    current->copies.publish();
    block.barrier = name;
    block.said += says;
    current->at_block_barrier = true;
    if (++block.arrived == block.live) {
        open_block_barrier(block);
    } else {
        wait_at(name);
    }
    const int answer = block.answer;
    may_take_off();
    return answer;
}

void named_barrier(int id, int threads, bool waits) {
    if (id < 1 || id > 15) fail("barrier " + std::to_string(id) + ", which is not one of 1 to 15");
    if (threads <= 0 || threads % kLanes != 0)
        fail("a barrier of " + std::to_string(threads) + " threads, which are not whole warps");
    current->copies.publish();
    meet(waits ? kGroupSync : kGroupArrive, kAllLanes);
    NamedBarrier& barrier = current_block().named_barriers[id];
    if (barrier.arrived > 0 && barrier.threads != threads)
        fail("barrier " + std::to_string(id) + " of " + std::to_string(threads) + " threads, of " +
             std::to_string(barrier.threads) + " for those who are there");
    barrier.threads = threads;
    if (++barrier.arrived == threads) {
        barrier.arrived = 0;
        for (Lane* lane : std::exchange(barrier.waiting, {}))
            wake(*lane);
    } else if (waits) {
        barrier.waiting.push_back(current);
        wait_at(kGroupSync);
    }
    may_take_off();
}

void cluster_arrive() {
    current->copies.publish();
    meet(kClusterArrive, kAllLanes);
    Gang& gang = current_gang();
    if (std::exchange(current->at_cluster_barrier, true))
        fail("a second arrival at the cluster barrier without a wait");
    current->cluster_phase = gang.cluster_phase;
    if (++gang.cluster_arrived == gang.live) open_cluster_barrier(gang);
}

void cluster_wait() {
    meet(kClusterAligned, kAllLanes);
    if (!std::exchange(current->at_cluster_barrier, false))
        fail("a wait at the cluster barrier without an arrival");
    if (current_gang().cluster_phase == current->cluster_phase) wait_at(kClusterWait);
    current->met_cluster = true;
    may_take_off();
}

void wait_for_previous_kernel() {
    if (current_gang().previous) wait_at(kPreviousKernel);
}

void end_lane() {
    Lane& lane = *current;
    Warp& warp = *lane.warp;
    Block& block = *warp.block;
    Gang& gang = *block.gang;
    if (lane.copies.under_way() > 0)
        fail("ended with " + std::to_string(lane.copies.under_way()) + " asynchronous copies under way");
    if (warp.products.under_way() > 0)
        fail("ended with " + std::to_string(warp.products.under_way()) + " wgmma under way");
    for (const Rendezvous& meeting : warp.open)
        if ((meeting.mask & lane.bit()) != 0)
            fail("ended while lanes " + lanes_text(meeting.arrived) + " wait for it at " + meeting.name);
    warp.live &= ~lane.bit();
    warp.runnable &= ~lane.bit();
    --gang.live;
    if (lane.at_cluster_barrier && lane.cluster_phase == gang.cluster_phase) --gang.cluster_arrived;
    if (--block.live == 0) {
        for (const ProductOrder& order : block.product_orders)
            if (!order.complete()) fail("wgmma that not all 4 warps of a warpgroup issued");
        if (!block.shared.intact())
            fail("shared memory was written outside the " + std::to_string(block.shared.size()) +
                 " bytes that the launch asked for (by any thread of the block)");
        block.shared.poison();
    }
    if (block.arrived > 0 && block.arrived == block.live) open_block_barrier(block);
    if (gang.cluster_arrived > 0 && gang.cluster_arrived == gang.live) open_cluster_barrier(gang);
}

}  // namespace nsa::emulator
