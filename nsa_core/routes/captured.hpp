// Device work captured once and replayed with one launch: a CUDA graph.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>

namespace nsa::core {

/// `work` runs `eager_runs` times first, as libraries set themselves up in their first call, then once under
/// capture, which executes nothing, on a stream of its own. What it allocates through Torch stays allocated
/// with the graph. Tensors that it only refers to must outlive this. Throws c10::Error when the work cannot
/// be captured.
class Captured {
  public:
    explicit Captured(const std::function<void()>& work, int eager_runs = 3);
    ~Captured();
    Captured(Captured&&) noexcept;
    Captured& operator=(Captured&&) noexcept;

    /// On Torch's current stream; does not wait.
    void replay();
    [[nodiscard]] std::size_t nodes() const;  // kernels and copies in the graph

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace nsa::core
