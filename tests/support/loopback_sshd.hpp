// A private sshd on 127.0.0.1: own port, host key, user key and home folder; nothing of the machine's own
// sshd. Runs as whoever runs the test. Ended, with its sessions, when it goes out of scope.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <vector>

#include "engines/engine.hpp"
#include "support/temp_dir.hpp"

namespace nsa::test {

class LoopbackSshd {
  public:
    // Lines of sshd_config before the fixture's own: the first value of a keyword wins. Throws with sshd's
    // own words.
    explicit LoopbackSshd(std::vector<std::string> config = {});
    ~LoopbackSshd();
    LoopbackSshd(const LoopbackSshd&) = delete;
    LoopbackSshd& operator=(const LoopbackSshd&) = delete;

    int port() const { return port_; }
    const std::string& user() const { return user_; }
    std::filesystem::path user_key() const { return dir_ / "user_key"; }
    std::filesystem::path other_key() const { return dir_ / "other_key"; }  // not authorized
    std::filesystem::path home() const { return dir_ / "home"; }            // $HOME of every session
    std::filesystem::path dir() const { return dir_.path(); }
    std::string host_key() const;  // "ssh-ed25519 AAAA..."
    std::string log() const;       // what sshd has logged so far, DEBUG1

    // Reached by this sshd, everything pinned and right.
    engines::InstanceConfig instance(std::string name = "loopback") const;

    void kill_sessions();    // SIGKILL to the processes of all connections, not to the listener
    void stop();             // the listener and all connections
    void start();            // again, on the same port
    void change_host_key();  // another key from the next connection on

  private:
    void make_key(const std::string& name) const;
    void write_config() const;
    bool try_start();

    TempDir dir_;
    std::vector<std::string> config_;
    std::string user_;
    int port_ = 0;
    pid_t pid_ = -1;
};

}  // namespace nsa::test
