// nsad in a trial.
#pragma once

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <string>
#include <vector>

#include "process.hpp"
#include "trial.hpp"

namespace nsa::faults {

struct DaemonSetup {
    std::filesystem::path nsad, worker;
    std::vector<std::string> prefix;       // words in front of nsad's own: a program that runs it
    std::vector<std::string> environment;  // besides HOME and PATH
    std::vector<std::string> flags = {};   // after nsad's own
};

class LabDaemon {
  public:
    using Clock = std::chrono::steady_clock;

    LabDaemon(const Trial& trial, const DaemonSetup& setup);

    Process& process() { return process_; }
    Clock::time_point started() const { return started_; }
    // True once its API answers; false when it ended or the time is over.
    bool serves(boost::asio::io_context& io, std::chrono::milliseconds limit);
    // SIGTERM and a clean end within five seconds, as it promises; false otherwise.
    bool stop();

  private:
    std::filesystem::path socket_;
    Clock::time_point started_;
    Process process_;
};

}  // namespace nsa::faults
