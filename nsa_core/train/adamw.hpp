// AdamW (Loshchilov and Hutter 2019) by LibTorch's update of many tensors in one launch: torch::optim would
// bring torch/torch.h, which takes longer to compile than the rest of the program, and updates one tensor
// after another.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace nsa::core::train {

class AdamW {
  public:
    // The leaves that training updates, all of one type and device. Weight decay applies to matrices, not to
    // biases and norms.
    AdamW(const std::vector<at::Tensor>& leaves, double lr);

    // L2 over all gradients, each divided by `loss_scale`. Leaves without a gradient count as zero.
    [[nodiscard]] double grad_norm(double loss_scale) const;

    // The same with a scale of 1 as a scalar on the device, which nobody waits for.
    [[nodiscard]] at::Tensor grad_norm() const;

    // One update from the gradients, divided by `loss_scale`. Counts the updates on the device, so that a
    // captured update can be replayed.
    void update(double loss_scale);

    void forget_gradients();

  private:
    struct Parameter {
        at::Tensor leaf;
        at::Tensor master;  // the leaf itself, or its fp32 copy when the leaf is of a half type
        at::Tensor first_moment;
        at::Tensor second_moment;
    };
    void update(bool decayed, double loss_scale);

    std::vector<Parameter> parameters_;
    double lr_;
    at::Tensor updates_;  // fp32 scalar on the device of the leaves
};

}  // namespace nsa::core::train
