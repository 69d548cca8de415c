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
void bench_floors(Figures& figures);

// The tools that people use instead, over the same sshd: ssh cold, ssh on a ControlMaster, GNU parallel.
void bench_tools(Figures& figures, const test::LoopbackSshd& sshd);

// Engine, worker client and worker without a daemon.
void bench_engine(Figures& figures, const test::LoopbackSshd& sshd, const Programs& programs);

// nsad with its store, driven through its API.
void bench_daemon(Figures& figures, const test::LoopbackSshd& sshd, const Programs& programs);

}  // namespace nsa::bench
