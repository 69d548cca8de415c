// The daemon's log: nsad.log in the state folder and, when asked, stderr. Keeps spdlog out of other headers.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "language/result.hpp"

namespace spdlog {
class logger;
}

namespace nsa::daemon {

class Log {
  public:
    // Appends; rotates at 16 MiB, four files are kept.
    static Result<Log> open(const std::filesystem::path& file, bool to_stderr);

    void info(const std::string& text) const;
    void warn(const std::string& text) const;
    void error(const std::string& text) const;

  private:
    explicit Log(std::shared_ptr<spdlog::logger> logger) : logger_(std::move(logger)) {}
    std::shared_ptr<spdlog::logger> logger_;
};

}  // namespace nsa::daemon
