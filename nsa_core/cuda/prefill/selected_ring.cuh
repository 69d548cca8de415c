// The walk over the selected blocks of a tile of tokens. Producer warps load each block once into a ring of
// stages in shared memory; a consumer warp per token uses those that its token selected. Stages are handed
// over by barriers in shared memory (sm_80 has them), so warps drift as far apart as the ring is long: where
// selections are independent, one or two of the eight use a block, and in lockstep the others would wait for
// them.
#pragma once

#include "nsa_core/cuda/prefill/selected_blocks.cuh"

namespace nsa::core::cuda {

inline constexpr int kProducers = 4;  // warps
inline constexpr int kWalkThreads = (kTileTokens + kProducers) * kWarpSize;

/// Shared memory of the walk beside the stages.
struct RingState {
    std::uint64_t full[kMaxStages];
    std::uint64_t empty[kMaxStages];
    TokenTile tile;  // not in registers, which a consumer's loop fills
    SharedBlocks blocks;
};
static_assert(sizeof(RingState) <= kRingStateBytes);

template <class T, int kDk, int kDv>
class SelectedRing {
  public:
    static constexpr int kKeyBytes = TileLayout<kDk>::bytes(kStageRows);
    static constexpr int kStageBytes = kKeyBytes + TileLayout<kDv>::bytes(kStageRows);

    /// A stage holds tokens of one block, zeros for those behind the end of the sequence. A block of more
    /// tokens than it has room for is cut, every block into as many stages. `shared`: stages, and RingState
    /// behind them. All threads of the thread block call it together.
    __device__ SelectedRing(char* shared, int stages, const TokenTile& tile,
                            const BlockLists<const int>& lists, const PrefillShape& shape)
        : state_{*reinterpret_cast<RingState*>(shared + stages * kStageBytes)},
          l_sel_{shape.l_sel},
          stages_{stages},
          first_stage_{shared_address(shared)} {
        if (threadIdx.x == 0) {
            state_.tile = tile;
            for (int stage = 0; stage < stages; ++stage) {
                barrier_init(&state_.full[stage], kProducers * kWarpSize);
                barrier_init(&state_.empty[stage], kTileTokens);
            }
        }
        state_.blocks.merge(tile, lists, shape.groups, shape.n);
    }

    [[nodiscard]] __device__ const TokenTile& tile() const { return state_.tile; }

    /// The part of producer thread `thread`: all stages, one after the other.
    __device__ void produce(const ConstRows& k, const ConstRows& v, int thread) const {
        const auto rows_of = [&](const ConstRows& rows) {
            return first_row<T>(rows, tile().sequence, tile().group, tile().packed);
        };
        const int length = tile().sequence.length;
        const Copies<kDk> keys{rows_of(k), k.token, thread};
        const Copies<kDv> values{rows_of(v), v.token, thread};
        StagePlace at;
#pragma unroll 1
        for (int i = state_.blocks.size() - 1; i >= 0; --i) {
            const int block = first_of(i);
            int part = 0;
#pragma unroll 1
            do {
                const int first = block + part;
                const int count =
                    min(l_sel_ - part, length - first);  // of a last block's last stages below 0
                barrier_wait(&state_.empty[at.stage],
                             at.parity ^ 1U);  // on the first lap the phase before counts as over
                keys.start(keys_of(at.stage), first, count);
                values.start(values_of(at.stage), first, count);
                barrier_arrive_after_copies(&state_.full[at.stage]);
                at.advance(stages_);
                part += kStageRows;
            } while (part < l_sel_);
        }
    }

    /// A consumer warp's part: use(visible, keys, values) for the stages of what its token selected, of whose
    /// rows the token sees the first `visible`, at least one.
    template <class Use>
    __device__ void consume(Use use) const {
        StagePlace at;
#pragma unroll 1
        for (int i = state_.blocks.size() - 1; i >= 0; --i) {  // down: no end in a register
            // How many of the block's tokens this one sees; none of a block that it did not select.
            const int seen = state_.blocks.selected_by(i, warp_index())
                                 ? min(l_sel_, warp_token(tile()).token + 1 - first_of(i))
                                 : 0;
            int part = 0;
#pragma unroll 1
            do {
                barrier_wait(&state_.full[at.stage], at.parity);
                if (seen > part) use(min(kStageRows, seen - part), keys_of(at.stage), values_of(at.stage));
                __syncwarp();
                if (lane_index() == 0) barrier_arrive(&state_.empty[at.stage]);
                at.advance(stages_);
                part += kStageRows;
            } while (part < l_sel_);
        }
    }

  private:
    template <int kWidth>
    using Copies = AdjacentRows<T, kStageRows, kWidth, kProducers * kWarpSize>;

    // The stage that comes next, and the parity of its lap.
    struct StagePlace {
        int stage = 0;
        unsigned parity = 0;

        __device__ __forceinline__ void advance(int stages) {
            if (++stage < stages) return;
            stage = 0;
            parity ^= 1U;
        }
    };

    // The first token of a merged block.
    [[nodiscard]] __device__ __forceinline__ int first_of(int i) const {
        return state_.blocks.block(i) * l_sel_;
    }
    [[nodiscard]] __device__ std::uint32_t keys_of(int stage) const {
        return first_stage_ + stage * kStageBytes;
    }
    [[nodiscard]] __device__ std::uint32_t values_of(int stage) const {
        return keys_of(stage) + kKeyBytes;
    }

    RingState& state_;
    int l_sel_;
    int stages_;
    std::uint32_t first_stage_;
};

/// The warp's 16 rows of shared memory that store_rows needs: the walk is over, and the stages are free.
template <int kWidth>
__device__ __forceinline__ char* staging_rows(char* shared) {
    return shared + warp_index() * TileLayout<kWidth>::bytes(16);
}

}  // namespace nsa::core::cuda
