#include "emulator/fiber.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <memory>
#include <new>

namespace nsa::emulator {
namespace {

constexpr std::size_t kStackBytes = 128 * 1024;

// What Boost.Context asks of a stack allocator.
struct FromPool {
    StackPool* pool;
    boost::context::stack_context allocate() { return pool->take(); }
    void deallocate(boost::context::stack_context& stack) { pool->give_back(stack); }
};

std::size_t page_bytes() {
    return static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

}  // namespace

boost::context::stack_context StackPool::take() {
    if (!free_.empty()) {
        const boost::context::stack_context stack = free_.back();
        free_.pop_back();
        return stack;
    }
    void* memory =
        mmap(nullptr, kStackBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc{};
    (void)mprotect(memory, page_bytes(), PROT_NONE);  // stacks grow down into it
    boost::context::stack_context stack;
    stack.size = kStackBytes;
    stack.sp = static_cast<char*>(memory) + kStackBytes;
    return stack;
}

StackPool::~StackPool() {
    for (const boost::context::stack_context& stack : free_)
        (void)munmap(static_cast<char*>(stack.sp) - stack.size, stack.size);
}

Fiber::Fiber(StackPool& stacks, std::function<void()> body)
    : inside_{std::allocator_arg, FromPool{&stacks},
              [this, body = std::move(body)](boost::context::fiber&& caller) {
                  outside_ = std::move(caller);
                  body();
                  return std::move(outside_);
              }} {}

}  // namespace nsa::emulator
