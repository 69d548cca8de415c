// A trial with a user, ready to be hurt: the folder, the workload, and the oracle over both.
#pragma once

#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "lab.hpp"
#include "lab_daemon.hpp"
#include "oracle.hpp"
#include "trial.hpp"
#include "workload.hpp"

namespace nsa::faults {

class Rig {
  public:
    Rig(const Lab& lab, const std::string& name, std::string replay, WorkloadShape shape, std::uint64_t seed);

    Trial& trial() { return trial_; }
    Workload& work() { return work_; }
    Scene& scene() { return scene_; }
    boost::asio::io_context& io() { return io_; }
    DaemonSetup released() const { return {lab_.programs.nsad, lab_.programs.worker, {}, {}}; }

    // The daemon's folders lie there from now on. Before its first start.
    void use_volume(const std::filesystem::path& volume);
    // More instances of this machine, each with a worker home of its own; registered with the running daemon,
    // or, when it died meanwhile, with the last one. Empty, or why not.
    std::string add_local_instances(const std::vector<std::string>& names);

    // The daemon is dead, or stopped: the books as they are.
    std::vector<Violation> judge_now();
    // A last, released daemon brings everything to its end; then all is judged. ms until it served in
    // `*served_ms`.
    std::vector<Violation> settle(double* served_ms = nullptr);

  private:
    std::vector<Violation> judge_end();

    const Lab& lab_;
    Trial trial_;
    boost::asio::io_context io_{1};
    Workload work_;
    std::map<std::string, bool> local_instances_;  // confirmed?
    Scene scene_;
    DoneRuns done_;
};

}  // namespace nsa::faults
