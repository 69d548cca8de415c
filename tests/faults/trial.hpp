// One trial's folder and everything that belongs to it. A trial that passes leaves nothing; one that fails
// keeps its folder and says how to run it again.
//
//   <root>/state/  artifacts/  home/    of the daemon; home/ is $HOME of every process of the trial
//   <root>/marks                        a line per started step: its NSA_RUN_DIR
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace nsa::faults {

// The programs under test, of this build.
struct Programs {
    std::filesystem::path nsad, worker;          // as released
    std::filesystem::path nsad_lab, worker_lab;  // with failpoints
    std::filesystem::path io_faults;             // LD_PRELOAD library
};

class Trial {
  public:
    // parent: where folders go. `replay`: the command that repeats this trial alone.
    Trial(const std::filesystem::path& parent, const std::string& name, std::string replay);
    ~Trial();  // ends the processes of the trial; removes the folder unless it failed
    Trial(const Trial&) = delete;
    Trial& operator=(const Trial&) = delete;

    const std::filesystem::path& root() const { return root_; }
    std::filesystem::path state() const { return volume_ / "state"; }
    std::filesystem::path artifacts() const { return volume_ / "artifacts"; }
    // Where state/ and artifacts/ lie: the root, or a file system of their own.
    const std::filesystem::path& volume() const { return volume_; }
    void use_volume(std::filesystem::path volume) { volume_ = std::move(volume); }
    std::filesystem::path home() const { return root_ / "home"; }
    std::filesystem::path marks() const { return root_ / "marks"; }
    const std::string& replay() const { return replay_; }

    // A part of the trial that lies elsewhere (a sshd's home): its processes belong to the trial as well.
    void also_owns(std::filesystem::path folder) { folders_.push_back(std::move(folder)); }
    // Processes whose HOME lies in the trial: "pid command line".
    std::vector<std::string> processes() const;
    // The folder stays.
    void failed() { failed_ = true; }

  private:
    std::filesystem::path root_, volume_;
    std::string replay_;
    std::vector<std::filesystem::path> folders_;
    bool failed_ = false;
};

}  // namespace nsa::faults
