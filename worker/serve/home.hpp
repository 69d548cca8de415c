// The worker's home on the host, ~/.nsa: what is put lies below it, runs have their folders in runs/.
#pragma once

#include <string>

#include "protocol/messages.hpp"
#include "system/unique_fd.hpp"

namespace nsa::serve {

class Home {
  public:
    // Makes the folder (mode 0700), runs/ and tmp/ when they are missing, and clears what a killed upload
    // left.
    static Result<Home> open(const std::string& path);

    const std::string& path() const { return path_; }  // absolute, without links
    int fd() const { return fd_.get(); }
    int runs() const { return runs_.get(); }
    int tmp() const { return tmp_.get(); }

    std::string run_path(const protocol::RunKey& run) const;
    // kNotFound: no such run here.
    Result<UniqueFd> open_run(const protocol::RunKey& run) const;

    protocol::HelloReply facts(std::string worker_version) const;

  private:
    std::string path_;
    UniqueFd fd_, runs_, tmp_;
};

}  // namespace nsa::serve
