// Times of each prefill kernel by itself on a GPU host, without Torch: medians between events over random
// rows, with the arithmetic that attention needs (no tile's waste) over that time. Prints CSV.
//   prefill_times [--once] [S]...     --once: no times, one launch of each, for a profiler; default 8192
//   65536: H=64 G=4 d=128 bf16, one sequence, n=16 l'=64 w=512 l=32 d=16
// Pass "learnable" is learnable compression in place of mean pooling, at the phi_hidden in the kernel's name.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include "compress_times.cuh"
#include "nsa_core/cuda/device.hpp"
#include "nsa_core/cuda/prefill/prefill.hpp"
#include "nsa_core/cuda/prefill/selected.hpp"
#include "timing.cuh"

namespace {

using namespace nsa::core::cuda;
using namespace nsa::timing;

// What every kernel reads and writes at one length.
class Bench {
  public:
    Bench(int tokens, bool once) : tokens_{tokens}, once_{once} {
        check(device_limits(0, limits_), "the limits of the device");
        shape_.batch = 1;
        shape_.heads = 64;
        shape_.groups = 4;
        shape_.dk = shape_.dv = 128;
        shape_.max_tokens = tokens;
        shape_.tokens = tokens;
        shape_.compressed = shape_.compressed_of(tokens);
        sequences_ = {.max_tokens = tokens, .max_compressed = static_cast<int>(shape_.compressed)};
        q_ = tensor(tokens, 64, 128, 1);
        k_ = tensor(tokens, 4, 128, 2);
        v_ = tensor(tokens, 4, 128, 3);
        d_out_ = tensor(tokens, 64, 128, 4);
        ck_ = tensor(shape_.compressed, 4, 128, 5);
        cv_ = tensor(shape_.compressed, 4, 128, 6);
        for (Tensor& out : out_)
            out = tensor(tokens, 64, 128, 7);
        gates_ = tensor(tokens, 64, 3, 8, 0.3F);
        d_gates_ = tensor(tokens, 64, 3, 8);
        d_q_ = tensor(tokens, 64, 128, 9);
        d_k_ = tensor(tokens, 4, 128, 10);
        d_v_ = tensor(tokens, 4, 128, 11);
        for (int i = 0; i < kBranches; ++i) {
            lse_[i] = allocate(shape_.tokens * 64 * sizeof(float));
            delta_[i] = allocate(shape_.tokens * 64 * sizeof(float));
        }
        blocks_ = allocate(shape_.tokens * 4 * shape_.n * sizeof(int));
        count_ = allocate(shape_.tokens * 4 * sizeof(int));
        make_inverse();
    }

    void run() {
        time("forward", "mean_pool", 0, [&] { return launch_mean_pool(pool(), nullptr); });
        time("forward", "compressed", 4 * 128 * seen_compressed(),
             [&] { return launch_dense_forward(dense(DenseBranch::kCompressed), nullptr); });
        time("forward", "importance_top_n", 2 * 128 * seen_compressed(),
             [&] { return launch_importance_top_n(importance(), nullptr); });
        time("forward", "selected", 4 * 128 * seen_selected(), [&] {
            return launch_selected_forward(selected(), plan_selected_forward(shape_, limits_.shared_bytes),
                                           nullptr);
        });
        time("forward", "window", 4 * 128 * seen_window(),
             [&] { return launch_dense_forward(dense(DenseBranch::kWindow), nullptr); });
        time("forward", "combine", 0, [&] { return launch_combine(combine(), nullptr); });
        total("forward");
        time("backward", "combine_backward", 0,
             [&] { return launch_combine_backward(combine_backward(), nullptr); });
        time("backward", "inverse_lists", 0, [&] { return launch_inverse_lists(make_lists(), nullptr); });
        time("backward", "selected_dq", 6 * 128 * seen_selected(), [&] {
            return launch_selected_dq(selected_backward(), plan_selected_dq(shape_, limits_.shared_bytes),
                                      nullptr);
        });
        time("backward", "selected_dkdv", 8 * 128 * seen_selected(),
             [&] { return launch_selected_dkdv(selected_backward(), nullptr); });
        for (const auto& [branch, name, seen] :
             {std::tuple{DenseBranch::kCompressed, "compressed", seen_compressed()},
              std::tuple{DenseBranch::kWindow, "window", seen_window()}}) {
            const DensePlan plan = plan_dense_backward(shape_, branch, limits_);
            const Memory partials = allocate(dense_partials(shape_, branch, plan) * sizeof(float));
            const DenseBackward p = dense_backward(branch, static_cast<float*>(partials.get()));
            time("backward", name + std::string{"_dq"}, 6 * 128 * seen,
                 [&] { return launch_dense_backward(p, plan, nullptr, DensePart::kDq); });
            time("backward", name + std::string{"_dkdv"}, 8 * 128 * seen,
                 [&] { return launch_dense_backward(p, plan, nullptr, DensePart::kDkdv); });
        }
        time("backward", "mean_pool_backward", 0,
             [&] { return launch_mean_pool_backward(pool_backward(), nullptr); });
        total("backward");
        for (const int hidden : {64, 256})
            learnable(hidden);
    }

  private:
    void learnable(int hidden) {
        const CompressTimes times{shape_, sequences_, hidden, limits_};
        const LearnableRows rows{.tokens = {k_.rows, v_.rows},
                                 .compressed = {ck_.rows, cv_.rows},
                                 .d_tokens = {d_k_.rows, d_v_.rows}};
        for (const CompressTimes::Launch& launch : times.launches(rows))
            time("learnable", launch.kernel + "_" + std::to_string(hidden), launch.flop, launch.start);
        total("learnable");
    }
    void time(const char* pass, const std::string& kernel, double flop,
              const std::function<cudaError_t()>& launch) {
        const double ms = median_ms(launch, once_);
        sum_ += ms;
        std::printf("%d,%s,%s,%.4f,%.0f\n", tokens_, pass, kernel.c_str(), ms, flop / ms / 1e9);
        std::fflush(stdout);
    }
    void total(const char* pass) {
        std::printf("%d,%s,all,%.4f,\n", tokens_, pass, sum_);
        sum_ = 0;
    }

    // Pairs of a query row and a key that it sees.
    double seen_compressed() const {
        double pairs = 0;
        for (int t = 0; t < tokens_; ++t)
            pairs += shape_.compressed_of(t + 1);
        return pairs * 64;
    }
    double seen_window() const {
        double pairs = 0;
        for (int t = 0; t < tokens_; ++t)
            pairs += std::min(t + 1, shape_.w);
        return pairs * 64;
    }
    double seen_selected() const {
        double pairs = 0;
        for (int t = 0; t < tokens_; ++t)
            pairs += std::min(t + 1, (shape_.n - 1) * shape_.l_sel + t % shape_.l_sel + 1);
        return pairs * 64;
    }

    float* floats(const Memory& memory) const { return static_cast<float*>(memory.get()); }
    int* ints(const Memory& memory) const { return static_cast<int*>(memory.get()); }

    MeanPool pool() const {
        return {.shape = shape_,
                .sequences = sequences_,
                .k = k_.rows,
                .v = v_.rows,
                .k_out = ck_.rows,
                .v_out = cv_.rows};
    }
    MeanPoolBackward pool_backward() const {
        MeanPoolBackward p;
        p.shape = shape_;
        p.sequences = sequences_;
        p.d_k_out = ck_.rows;
        p.d_v_out = cv_.rows;
        p.d_k = d_k_.rows;
        p.d_v = d_v_.rows;
        return p;
    }
    // Branches in the order cmp, sel, win.
    DenseForward dense(DenseBranch branch) const {
        const bool window = branch == DenseBranch::kWindow;
        return {.shape = shape_,
                .sequences = sequences_,
                .branch = branch,
                .q = q_.rows,
                .k = window ? k_.rows : ck_.rows,
                .v = window ? v_.rows : cv_.rows,
                .out = out_[window ? 2 : 0].rows,
                .lse = floats(lse_[window ? 2 : 0]),
                .scale = kScale};
    }
    DenseBackward dense_backward(DenseBranch branch, float* partials) const {
        const bool window = branch == DenseBranch::kWindow;
        DenseBackward p;
        p.shape = shape_;
        p.sequences = sequences_;
        p.branch = branch;
        p.q = q_.rows;
        p.k = window ? k_.rows : ck_.rows;
        p.v = window ? v_.rows : cv_.rows;
        p.d_out = d_out_.rows;
        p.lse = floats(lse_[window ? 2 : 0]);
        p.delta = floats(delta_[window ? 2 : 0]);
        p.gates = gates_.memory.get();
        p.d_q = d_q_.rows;
        p.d_k = d_k_.rows;  // the compressed ones fit into the tokens' memory
        p.d_v = d_v_.rows;
        p.partials = partials;
        p.add_to_d_q = true;
        p.scale = kScale;
        return p;
    }
    ImportanceTopN importance() const {
        return {.shape = shape_,
                .sequences = sequences_,
                .q = q_.rows,
                .k = ck_.rows,
                .lse = floats(lse_[0]),
                .scale = kScale,
                .lists = {.blocks = ints(blocks_), .count = ints(count_)}};
    }
    BlockLists<const int> lists() const { return {.blocks = ints(blocks_), .count = ints(count_)}; }
    SelectedForward selected() const {
        return {.shape = shape_,
                .sequences = sequences_,
                .q = q_.rows,
                .k = k_.rows,
                .v = v_.rows,
                .lists = lists(),
                .out = out_[1].rows,
                .lse = floats(lse_[1]),
                .scale = kScale};
    }
    SelectedBackward selected_backward() const {
        SelectedBackward p;
        p.shape = shape_;
        p.sequences = sequences_;
        p.q = q_.rows;
        p.k = k_.rows;
        p.v = v_.rows;
        p.d_out = d_out_.rows;
        p.lse = floats(lse_[1]);
        p.delta = floats(delta_[1]);
        p.gates = gates_.memory.get();
        p.lists = lists();
        p.inverse = inverse_;
        p.d_q = d_q_.rows;
        p.d_k = d_k_.rows;
        p.d_v = d_v_.rows;
        p.parts = floats(parts_);
        p.scale = kScale;
        return p;
    }
    Combine combine() const {
        Combine p;
        p.shape = shape_;
        for (int i = 0; i < kBranches; ++i)
            p.branch[i] = out_[i].rows;
        p.gates = gates_.memory.get();
        p.out = d_q_.rows;
        return p;
    }
    CombineBackward combine_backward() const {
        CombineBackward p;
        p.shape = shape_;
        for (int i = 0; i < kBranches; ++i) {
            p.branch[i] = out_[i].rows;
            p.delta[i] = floats(delta_[i]);
        }
        p.gates = gates_.memory.get();
        p.d_out = d_out_.rows;
        p.d_gates = d_gates_.memory.get();
        return p;
    }
    void make_inverse() {
        const std::size_t ends =
            static_cast<std::size_t>(max_blocks(shape_) + 1) * shape_.groups * sizeof(int);
        inverse_memory_[0] = allocate(shape_.tokens * shape_.groups * shape_.n * sizeof(int));
        for (int i = 1; i < 4; ++i)
            inverse_memory_[i] = allocate(ends);
        inverse_ = {.tokens = ints(inverse_memory_[0]),
                    .first = ints(inverse_memory_[1]),
                    .first_item = ints(inverse_memory_[2]),
                    .first_part = ints(inverse_memory_[3]),
                    .item_tokens = selected_item_tokens(shape_, limits_.multiprocessors)};
        counts_ = allocate(inverse_counts(shape_) * sizeof(int));
        parts_ = allocate(selected_parts(shape_, inverse_.item_tokens) * sizeof(float));
    }
    MakeInverseLists make_lists() const {
        return {.shape = shape_,
                .sequences = sequences_,
                .lists = lists(),
                .out = inverse_,
                .counts = ints(counts_)};
    }

    static constexpr float kScale = 0.08838835F;  // 128^-1/2
    int tokens_;
    bool once_;
    DeviceLimits limits_;
    PrefillShape shape_;
    Sequences sequences_;
    Tensor q_, k_, v_, d_out_, ck_, cv_, gates_, d_gates_, d_q_, d_k_, d_v_;
    Tensor out_[kBranches];
    Memory lse_[kBranches], delta_[kBranches];
    Memory blocks_, count_, inverse_memory_[4], counts_, parts_;
    InverseLists inverse_;
    double sum_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
    std::vector<int> lengths;
    bool once = false;
    for (int i = 1; i < argc; ++i) {
        if (std::string{argv[i]} == "--once")
            once = true;
        else
            lengths.push_back(std::atoi(argv[i]));
    }
    if (lengths.empty()) lengths = {8192, 65536};
    std::printf("S,pass,kernel,ms,tflops\n");
    for (const int length : lengths)
        Bench{length, once}.run();
    return 0;
}
