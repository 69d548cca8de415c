// What the two backward kernels for warpgroups share: a warpgroup of producers copies tiles into a ring of
// stages; two warpgroups of consumers own 64 rows of the result each.
//
// A consumer's accumulators are those of one block of 16 rows for each warp, c[1][kTiles][4]: what tile.cuh
// and dkdv.cuh do to blocks of a warp serves here too.
#pragma once

#include "nsa_core/cuda/prefill/pieces.cuh"
#include "nsa_core/cuda/prefill/warpgroup/roles.cuh"
#include "nsa_core/cuda/prefill/warpgroup/stage_ring.cuh"
#include "nsa_core/cuda/prefill/work.cuh"

namespace nsa::core::cuda {

// Of 168 a thread at launch; 40 + 2 * 232 is as many.
inline constexpr int kProducerRegisters = 40;
inline constexpr int kConsumerRegisters = 232;

/// Four tiles of 8 columns, two of them in each lane of a quad, become one tile of 8 columns in each lane:
/// lane q of the quad gets tile q.
__device__ __forceinline__ uint4 transpose_quad(const std::uint32_t (&words)[4]) {
    const bool odd = lane_index() % 2 != 0;
    const bool upper = lane_index() % 4 >= 2;
    std::uint32_t low[2];   // of the quad's lower two lanes
    std::uint32_t high[2];  // of its upper two
#pragma unroll
    for (int i = 0; i < 2; ++i) {
        const std::uint32_t other = __shfl_xor_sync(0xffffffffU, upper ? words[i] : words[i + 2], 2);
        low[i] = upper ? other : words[i];
        high[i] = upper ? words[i + 2] : other;
    }
    const std::uint32_t other_low = __shfl_xor_sync(0xffffffffU, odd ? low[0] : low[1], 1);
    const std::uint32_t other_high = __shfl_xor_sync(0xffffffffU, odd ? high[0] : high[1], 1);
    return odd ? make_uint4(other_low, low[1], other_high, high[1])
               : make_uint4(low[0], other_low, high[0], other_high);
}

// use(half, i, piece): of row 8 half + lane / 4 of the warp's 16 rows of accumulators, times `scale` and
// rounded, 16-byte piece 4 i + lane % 4. By all lanes together.
template <class T, int kTiles, class Use>
__device__ __forceinline__ void each_piece(const float (&c)[1][kTiles][4], float scale, Use use) {
    static_assert(kTiles % 4 == 0, "whole rounds of a quad");
#pragma unroll
    for (int half = 0; half < 2; ++half)
#pragma unroll
        for (int n = 0; n < kTiles; n += 4) {
            std::uint32_t words[4];
#pragma unroll
            for (int i = 0; i < 4; ++i)
                words[i] = Half<T>::pack(c[0][n + i][2 * half] * scale, c[0][n + i][2 * half + 1] * scale);
            use(half, n / 4, transpose_quad(words));
        }
}
/// The accumulators to memory. row_of(r) is the first element of row r of the warp, or null: not written.
template <class T, int kTiles, class RowOf>
__device__ __forceinline__ void store_accumulators(const float (&c)[1][kTiles][4], float scale,
                                                   RowOf row_of) {
    T* const rows[2] = {row_of(lane_index() / 4), row_of(8 + lane_index() / 4)};
    each_piece<T>(c, scale, [&](int half, int i, const uint4& piece) {
        if (rows[half] != nullptr)
            *reinterpret_cast<uint4*>(rows[half] + (4 * i + lane_index() % 4) * 8) = piece;
    });
}

/// What lies where accumulators go, to be added to: all of it is fetched at once, ahead of its use.
template <class T, int kTiles>
struct OldRows {
    uint4 pieces[2][kTiles / 4];

    template <class RowOf>
    __device__ __forceinline__ void fetch(RowOf row_of) {
#pragma unroll
        for (int half = 0; half < 2; ++half) {
            const T* const row = row_of(8 * half + lane_index() / 4);
#pragma unroll
            for (int i = 0; i < kTiles / 4; ++i)
                pieces[half][i] = row == nullptr
                                      ? uint4{}
                                      : *reinterpret_cast<const uint4*>(row + (4 * i + lane_index() % 4) * 8);
        }
    }
    /// In fp32.
    template <class RowOf>
    __device__ __forceinline__ void store_sum(const float (&c)[1][kTiles][4], float scale,
                                              RowOf row_of) const {
        T* const rows[2] = {row_of(lane_index() / 4), row_of(8 + lane_index() / 4)};
        each_piece<T>(c, scale, [&](int half, int i, const uint4& piece) {
            if (rows[half] == nullptr) return;
            const uint4 old = pieces[half][i];
            Piece sum = load_piece(reinterpret_cast<const T*>(&old));
            add_scaled(sum, 1.0F, load_piece(reinterpret_cast<const T*>(&piece)));
            store_piece(rows[half] + (4 * i + lane_index() % 4) * 8, sum);
        });
    }
};

/// A producer's part of the copies of query rows, 16 of them at a time: each thread has a piece of row
/// thread / 8, and of every 16th behind it, which is the same head of a later token. Row r is head r % (H/G)
/// of token r / (H/G), H/G <= 16.
template <class T>
class QueryRows {
  public:
    static constexpr int kAtOnce = kWarpgroupThreads / 8;

    /// `first`: head 0 of the group, of the first token of the sequence.
    __device__ __forceinline__ QueryRows(const T* first, const ConstRows& rows, const GroupHeads& heads,
                                         int thread)
        : first_{first + heads.head(thread / 8) * rows.head + thread % 8 * 8},
          stride_{rows.token},
          heads_{heads},
          thread_{thread} {}

    /// Rows [first, first + kRows) of tokens from `token` on; zeros from row `count` on.
    template <int kWidth, int kRows>
    __device__ __forceinline__ void copy_adjacent(std::uint32_t tile, int token, int first, int count) const {
        const T* const from = first_ + (token + heads_.token(first + thread_ / 8)) * stride_;
        const std::int64_t step = heads_.token(kAtOnce) * stride_;
        copy<kWidth, kRows>(tile, count - first, [&](int i) { return from + i * step; });
    }
    /// The same of tokens token_of(0), ...
    template <int kWidth, int kRows, class TokenOf>
    __device__ __forceinline__ void copy_listed(std::uint32_t tile, int first, int count,
                                                TokenOf token_of) const {
        const int token = heads_.token(first + thread_ / 8);
        const int step = heads_.token(kAtOnce);
        copy<kWidth, kRows>(tile, count - first,
                            [&](int i) { return first_ + token_of(token + i * step) * stride_; });
    }

  private:
    // from(i): the thread's piece of its row 16 i, of `count`.
    template <int kWidth, int kRows, class From>
    __device__ __forceinline__ void copy(std::uint32_t tile, int count, From from) const {
        using Layout = BoxLayout<kWidth>;
        const auto copy_each = [&](auto start_copy) {
#pragma unroll
            for (int i = 0; i < kRows / kAtOnce; ++i) {
                const int row = i * kAtOnce + thread_ / 8;
                start_copy(
                    i, row,
                    tile + static_cast<std::uint32_t>(Layout::template offset<kRows>(row, thread_ % 8)));
            }
        };
        constexpr auto kBoxBytes = static_cast<std::uint32_t>(kRows * Layout::kRowBytes);
        if (count >= kRows)
            copy_each([&](int i, int /*row*/, std::uint32_t to) {
                const T* const source = from(i);
#pragma unroll
                for (int box = 0; box < Layout::kBoxes; ++box)
                    copy_async(to + box * kBoxBytes, source + box * 64);
            });
        else
            copy_each([&](int i, int row, std::uint32_t to) {
                const T* const source = row < count ? from(i) : first_;
#pragma unroll
                for (int box = 0; box < Layout::kBoxes; ++box)
                    copy_async_or_zeros(to + box * kBoxBytes, source + box * 64, row < count);
            });
    }

    const T* first_;
    std::int64_t stride_;
    GroupHeads heads_;
    int thread_;
};

}  // namespace nsa::core::cuda
