// Time of one piece of work on a device: CUDA events around it on a GPU, the steady clock on the CPU.
#pragma once

#include <c10/core/Device.h>
#include <c10/core/Event.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <chrono>

namespace nsa::core::bench {

class Stopwatch {
  public:
    explicit Stopwatch(at::Device device) : device_{device} {}

    // Milliseconds of `work()`. The device is idle before and after, so that nothing of a neighbour is
    // measured; on a GPU the time includes the gaps in which the host has not launched the next kernel yet.
    template <typename Work>
    [[nodiscard]] double milliseconds(const Work& work) const {
        return milliseconds(work, [] {});
    }

    // The same with `before()` queued ahead of the first event: with work that lasts a while, a GPU is busy
    // until the host has launched what is timed.
    template <typename Work, typename Before>
    [[nodiscard]] double milliseconds(const Work& work, const Before& before) const {
        if (device_.is_cpu()) {
            const auto start = std::chrono::steady_clock::now();
            work();
            const std::chrono::duration<double, std::milli> elapsed =
                std::chrono::steady_clock::now() - start;
            return elapsed.count();
        }
        const c10::impl::VirtualGuardImpl driver{device_.type()};
        const c10::Stream stream = driver.getStream(device_);
        // The default flag of Torch makes events that keep no time.
        c10::Event start{device_.type(), c10::EventFlag::BACKEND_DEFAULT};
        c10::Event stop{device_.type(), c10::EventFlag::BACKEND_DEFAULT};
        driver.synchronizeDevice(device_.index());
        before();
        start.record(stream);
        work();
        stop.record(stream);
        stop.synchronize();
        return start.elapsedTime(stop);
    }

    [[nodiscard]] const char* kind() const { return device_.is_cpu() ? "steady_clock" : "cuda_event"; }

  private:
    at::Device device_;
};

}  // namespace nsa::core::bench
