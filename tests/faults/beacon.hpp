// A run that lives through all the deaths of its daemon: its step repeats each word that it is told through a
// FIFO. The time until a word is home, from the start of a daemon, is the time of re-adoption.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "system/unique_fd.hpp"
#include "trial.hpp"

namespace nsa::faults {

class Beacon {
  public:
    explicit Beacon(const Trial& trial);  // makes the FIFO

    static constexpr const char* kKey = "beacon";
    std::string script() const;

    // Without waiting: nothing is lost while the step has not started.
    void say(const std::string& word);
    // Whether the word has come home. `run`: its id.
    bool is_home(const std::string& run, const std::string& word) const;
    void finish() { say("end"); }

  private:
    const Trial& trial_;
    std::filesystem::path fifo_;
    UniqueFd writer_;  // also a reader: the step never sees the end of the FIFO while we live
};

}  // namespace nsa::faults
