#include "nsa_core/tools/peak_memory.hpp"

#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <c10/core/impl/alloc_cpu.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <mutex>
#include <unordered_map>

#ifdef NSA_WITH_CUDA
#include <c10/cuda/CUDACachingAllocator.h>
#endif

namespace nsa::core::tools {
namespace {

// LibTorch's default CPU allocator with a book of what it gave out.
class CountingAllocator final : public c10::Allocator {
  public:
    c10::DataPtr allocate(std::size_t bytes) override {
        void* data = c10::alloc_cpu(bytes);
        if (data) {
            const std::lock_guard lock{mutex_};
            sizes_[data] = bytes;
            held_ += static_cast<std::int64_t>(bytes);
            peak_ = std::max(peak_, held_);
        }
        return {data, data, &release, c10::Device{c10::DeviceType::CPU}};
    }
    c10::DeleterFnPtr raw_deleter() const override { return &release; }
    void copy_data(void* to, const void* from, std::size_t bytes) const override {
        default_copy_data(to, from, bytes);
    }

    std::int64_t held() {
        const std::lock_guard lock{mutex_};
        return held_;
    }
    std::int64_t peak() {
        const std::lock_guard lock{mutex_};
        return peak_;
    }
    void restart() {
        const std::lock_guard lock{mutex_};
        peak_ = held_;
    }

    // Never destroyed: tensors of static storage may outlive everything.
    static CountingAllocator& instance() {
        static CountingAllocator* const allocator = new CountingAllocator;
        return *allocator;
    }

  private:
    static void release(void* data) {
        if (!data) return;
        CountingAllocator& self = instance();
        {
            const std::lock_guard lock{self.mutex_};
            const auto found = self.sizes_.find(data);
            if (found != self.sizes_.end()) {
                self.held_ -= static_cast<std::int64_t>(found->second);
                self.sizes_.erase(found);
            }
        }
        c10::free_cpu(data);
    }

    std::mutex mutex_;
    std::unordered_map<void*, std::size_t> sizes_;
    std::int64_t held_ = 0;
    std::int64_t peak_ = 0;
};

#ifdef NSA_WITH_CUDA
constexpr std::size_t kAllPools = 0;  // StatType::AGGREGATE, whose namespace moved between releases

auto allocated(at::Device device) {
    c10::impl::VirtualGuardImpl{device.type()}.synchronizeDevice(device.index());
    return c10::cuda::CUDACachingAllocator::getDeviceStats(device.index()).allocated_bytes[kAllPools];
}
#endif

}  // namespace

PeakMemory::PeakMemory(at::Device device) : device_{device} {
    if (device_.is_cpu()) c10::SetCPUAllocator(&CountingAllocator::instance());
}

std::int64_t PeakMemory::held() const {
    if (device_.is_cpu()) return CountingAllocator::instance().held();
#ifdef NSA_WITH_CUDA
    return allocated(device_).current;
#else
    TORCH_CHECK(false, "this program was built without CUDA");
#endif
}

void PeakMemory::restart() const {
    if (device_.is_cpu()) return CountingAllocator::instance().restart();
#ifdef NSA_WITH_CUDA
    (void)allocated(device_);
    c10::cuda::CUDACachingAllocator::resetPeakStats(device_.index());
#endif
}

std::int64_t PeakMemory::peak() const {
    if (device_.is_cpu()) return CountingAllocator::instance().peak();
#ifdef NSA_WITH_CUDA
    return allocated(device_).peak;
#else
    TORCH_CHECK(false, "this program was built without CUDA");
#endif
}

std::string PeakMemory::method() const {
    return device_.is_cpu() ? "bytes asked of LibTorch's CPU allocator"
                            : "allocated bytes of the CUDA caching allocator";
}

}  // namespace nsa::core::tools
