// Whether the kernel's OOM killer was at work while a step ran: its SIGKILL looks like anybody's.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "system/unique_fd.hpp"

namespace nsa::runner {

// The counter of processes that were killed in our memory cgroup, or where that says nothing on this host.
// Held open: it is read at the start of every step.
class OomCounter {
  public:
    static OomCounter open();

    std::optional<std::uint64_t> kills() const;  // nothing: this kernel does not say
    // What to say of a step since `before`; empty when nobody was killed.
    std::string since(std::optional<std::uint64_t> before) const;

  private:
    UniqueFd file_;
    const char* whose_ = "";
};

// The files that may count the kills of our memory cgroup, from the text of /proc/self/cgroup; the one for a
// container that sees its own cgroup as the root last. Pure.
std::vector<std::string> oom_counter_files(std::string_view own_cgroups);

// The number after "oom_kill " at the start of a line. Pure.
std::optional<std::uint64_t> oom_kill_count(std::string_view text);

}  // namespace nsa::runner
