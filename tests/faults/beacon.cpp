#include "beacon.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <stdexcept>

#include "workload.hpp"

namespace nsa::faults {

namespace fs = std::filesystem;

Beacon::Beacon(const Trial& trial) : trial_(trial), fifo_(trial.root() / "beacon") {
    if (::mkfifo(fifo_.c_str(), 0600) != 0) throw std::runtime_error{"no FIFO " + fifo_.string()};
    writer_ = UniqueFd{::open(fifo_.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC)};
    if (!writer_) throw std::runtime_error{"cannot open " + fifo_.string()};
}

std::string Beacon::script() const {
    return marked(
        trial_, "exec 3< '" + fifo_.string() +
                    "'\nwhile read -r word <&3; do\n  echo \"$word\"\n  [ \"$word\" = end ] && exit 0\ndone");
}

void Beacon::say(const std::string& word) {
    const std::string line = word + "\n";
    // The FIFO holds 64 KiB; words are few and short.
    if (::write(writer_.get(), line.data(), line.size()) != static_cast<ssize_t>(line.size()))
        throw std::runtime_error{"the beacon takes no more words"};
}

bool Beacon::is_home(const std::string& run, const std::string& word) const {
    const fs::path log = trial_.artifacts() / run / "1" / "steps" / "s" / "stdout";
    const UniqueFd file{::open(log.c_str(), O_RDONLY | O_CLOEXEC)};
    if (!file) return false;
    std::array<char, 64> tail{};
    const std::string line = word + "\n";
    const off_t size = ::lseek(file.get(), 0, SEEK_END);
    const off_t begin = size - static_cast<off_t>(line.size());
    if (begin < 0 || line.size() > tail.size()) return false;
    const ssize_t n = ::pread(file.get(), tail.data(), line.size(), begin);
    return n == static_cast<ssize_t>(line.size()) && std::string_view(tail.data(), line.size()) == line;
}

}  // namespace nsa::faults
