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

/// What a stage holds: tokens [first, first + count) of the sequence, zeros behind them.
struct StageTokens {
    int first;
    int count;
};

/// Shared memory of the walk beside the stages.
struct RingState {
    std::uint64_t full[kMaxStages];
    std::uint64_t empty[kMaxStages];
    SharedBlocks blocks;
};
static_assert(sizeof(RingState) <= kRingStateBytes);

template <class T, int kDk, int kDv>
class SelectedRing {
  public:
    static constexpr int kKeyBytes = TileLayout<kDk>::bytes(kStageRows);
    static constexpr int kStageBytes = kKeyBytes + TileLayout<kDv>::bytes(kStageRows);

    /// `shared`: stages, and RingState behind them. All threads of the thread block call it together.
    __device__ SelectedRing(char* shared, int stages, const TokenTile& tile,
                            const BlockLists<const int>& lists, const PrefillShape& shape)
        : state_{*reinterpret_cast<RingState*>(shared + stages * kStageBytes)},
          tile_{tile},
          l_sel_{shape.l_sel},
          stages_{stages},
          first_stage_{shared_address(shared)} {
        if (threadIdx.x == 0) {
            for (int stage = 0; stage < stages; ++stage) {
                barrier_init(&state_.full[stage], kProducers * kWarpSize);
                barrier_init(&state_.empty[stage], kTileTokens);
            }
        }
        state_.blocks.merge(tile, lists, shape.groups, shape.n);
    }

    /// The part of producer thread `thread`: all stages, one after the other.
    __device__ void produce(const ConstRows& k, const ConstRows& v, int thread) const {
        const T* const keys = first_row<T>(k, tile_.sequence, tile_.group, tile_.packed);
        const T* const values = first_row<T>(v, tile_.sequence, tile_.group, tile_.packed);
        for_each_stage([&](int /*block*/, StageTokens tokens, int stage, unsigned lap) {
            barrier_wait(&state_.empty[stage],
                         (lap + 1) % 2);  // on the first lap the phase before counts as over
            const auto row_of = [&](const T* rows, std::int64_t stride) {
                return [=](int row) -> const T* {
                    return row < tokens.count ? rows + (tokens.first + row) * stride : nullptr;
                };
            };
            copy_rows<T, kStageRows, kDk, kProducers * kWarpSize>(keys_of(stage), thread,
                                                                  row_of(keys, k.token));
            copy_rows<T, kStageRows, kDv, kProducers * kWarpSize>(values_of(stage), thread,
                                                                  row_of(values, v.token));
            barrier_arrive_after_copies(&state_.full[stage]);
        });
    }

    /// A consumer warp's part: use(tokens, keys, values) for what its token selected.
    template <class Use>
    __device__ void consume(Use use) const {
        const int token_of_tile = warp_index();
        for_each_stage([&](int block, StageTokens tokens, int stage, unsigned lap) {
            barrier_wait(&state_.full[stage], lap % 2);
            if (state_.blocks.selected_by(block, token_of_tile))
                use(tokens, keys_of(stage), values_of(stage));
            __syncwarp();
            if (lane_index() == 0) barrier_arrive(&state_.empty[stage]);
        });
    }

  private:
    // Blocks of more tokens than a stage has room for are cut.
    template <class Do>
    __device__ __forceinline__ void for_each_stage(Do action) const {
        const int length = tile_.sequence.length;
        const int size = state_.blocks.size();
        int stage = 0;
        unsigned lap = 0;
#pragma unroll 1
        for (int block = 0; block < size; ++block) {
            const int end = min((state_.blocks.block(block) + 1) * l_sel_, length);
#pragma unroll 1
            for (int first = state_.blocks.block(block) * l_sel_; first < end; first += kStageRows) {
                action(block, StageTokens{first, min(kStageRows, end - first)}, stage, lap);
                if (++stage == stages_) {
                    stage = 0;
                    ++lap;
                }
            }
        }
    }

    [[nodiscard]] __device__ std::uint32_t keys_of(int stage) const {
        return first_stage_ + stage * kStageBytes;
    }
    [[nodiscard]] __device__ std::uint32_t values_of(int stage) const {
        return keys_of(stage) + kKeyBytes;
    }

    RingState& state_;
    const TokenTile& tile_;
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
