// A fiber: a stack of its own on which a function runs until it steps back to whoever resumed it. The only
// user of Boost.Context (docs/adr/0005).
#pragma once

#include <boost/context/fiber.hpp>

#include <cstddef>
#include <functional>
#include <vector>

namespace nsa::emulator {

/// Stacks that are used again and again, each behind a page that nothing may touch. They must outlive their
/// fibers.
class StackPool {
  public:
    StackPool() = default;
    ~StackPool();
    StackPool(const StackPool&) = delete;
    StackPool& operator=(const StackPool&) = delete;

    /// Throws std::bad_alloc.
    [[nodiscard]] boost::context::stack_context take();
    void give_back(const boost::context::stack_context& stack) { free_.push_back(stack); }

  private:
    std::vector<boost::context::stack_context> free_;
};

class Fiber {
  public:
    /// `body` must not let an exception out.
    Fiber(StackPool& stacks, std::function<void()> body);

    /// Runs the body from where it stepped back, until it does so again or ends.
    void resume() { inside_ = std::move(inside_).resume(); }
    [[nodiscard]] bool ended() const { return !inside_; }
    /// From within the body: back to resume().
    void step_back() { outside_ = std::move(outside_).resume(); }

  private:
    boost::context::fiber outside_;
    boost::context::fiber inside_;  // destroyed first: it unwinds what is left on its stack
};

}  // namespace nsa::emulator
