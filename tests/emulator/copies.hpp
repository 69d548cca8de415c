// cp.async: a copy happens as late as it may, in the wait that covers its group, and until then its
// destination is NaN. So what reads it without a wait, or before the other lanes' waits, reads NaN. What has
// landed is another lane's to read behind a barrier only: matrix loads, at which all lanes meet, ask for it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace nsa::emulator {

/// The copies of one thread that are under way.
class PendingCopies {
  public:
    /// `copied` bytes of `from` and zeros up to `bytes`. A fault when an address is not a multiple of
    /// `bytes`.
    void start(std::uint32_t to, const void* from, std::size_t bytes, std::size_t copied);
    void commit() { ++committed_; }
    /// Until at most `pending` committed groups are under way.
    void wait(int pending);
    [[nodiscard]] std::size_t under_way() const { return copies_.size(); }

    /// A barrier of the thread: others may read what has landed.
    void publish() { landed_.clear(); }
    [[nodiscard]] bool all_published() const { return landed_.empty(); }
    /// Whether the bytes hold something that has landed since the last barrier.
    [[nodiscard]] bool unpublished(const std::byte* begin, std::size_t bytes) const;

  private:
    struct Copy {
        std::byte* to;
        const std::byte* from;
        std::size_t bytes;
        std::size_t copied;
        std::int64_t group;
    };
    std::vector<Copy> copies_;  // in order
    std::vector<Copy> landed_;
    std::int64_t committed_ = 0;
};

}  // namespace nsa::emulator
