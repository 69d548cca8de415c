// The barriers of a thread block that have numbers, 1 to 15 (bar.sync and bar.arrive); 0 is __syncthreads.
#pragma once

#include <vector>

namespace nsa::emulator {

struct Lane;

struct NamedBarrier {
    int threads = 0;  // that complete the phase; 0: nobody is there
    int arrived = 0;
    std::vector<Lane*> waiting;
};

/// Whole warps: arrival at barrier `id` of `threads` threads, and until all have arrived when it `waits`.
void named_barrier(int id, int threads, bool waits);

}  // namespace nsa::emulator
