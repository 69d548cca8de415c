// The parts of the bench. Each adds its figures, and throws when what it measures does not work.
#pragma once

#include <filesystem>

#include "figures.hpp"
#include "support/loopback_sshd.hpp"

namespace nsa::bench {

struct Programs {
    std::filesystem::path worker,
        nsad;  // nsad empty: the whole-daemon part is left out, and the table says so
};

// What fsync, file creation and process creation cost here and now, without any of our code or ssh.
// `folder` is made, and must stay to the end: ext4 looks over every inode that was deleted in the last
// minutes when it makes a file, and creates 5 to 15 times fewer files a second after a few thousand
// deletions.
void bench_floors(Figures& figures, const std::filesystem::path& folder);

// The tools that people use instead, over the same sshd: ssh cold, ssh on a ControlMaster, GNU parallel.
void bench_tools(Figures& figures, const test::LoopbackSshd& sshd);

// Engine, worker client and worker without a daemon.
void bench_engine(Figures& figures, const test::LoopbackSshd& sshd, const Programs& programs);

// nsad with its store, driven through its API.
void bench_daemon(Figures& figures, const test::LoopbackSshd& sshd, const Programs& programs);

}  // namespace nsa::bench
