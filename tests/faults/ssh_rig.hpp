// A rig whose instances are reached over SSH, each through a fault proxy of its own, on one private sshd.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "fault_proxy.hpp"
#include "rig.hpp"
#include "support/loopback_sshd.hpp"

namespace nsa::faults {

class SshRig {
  public:
    SshRig(const Lab& lab, const std::string& name, std::string replay, int boxes, WorkloadShape shape,
           std::uint64_t seed);

    // With the daemon serving: registers box0, box1, ... Empty, or why not.
    std::string add_boxes();
    static std::string box_name(int box) { return "box" + std::to_string(box); }

    Rig& rig() { return rig_; }
    FaultProxy& proxy(int box) { return *proxies_[static_cast<std::size_t>(box)]; }
    int boxes() const { return static_cast<int>(proxies_.size()); }
    int cuts() const;  // of all proxies
    test::LoopbackSshd& sshd() { return sshd_; }

  private:
    test::LoopbackSshd sshd_;
    ProxyThread thread_;
    std::vector<std::unique_ptr<FaultProxy>> proxies_;
    Rig rig_;
};

}  // namespace nsa::faults
