// What this machine gives at best, measured in the same run: a missed goal on a slow or busy host is then
// seen as what it is. In the folder where everything else of the bench happens.
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <stdexcept>

#include "engines/child.hpp"
#include "sections.hpp"

namespace nsa::bench {
namespace {

constexpr int kSyncs = 100, kFiles = 5000, kSpawns = 100;

Figure syncs(const std::filesystem::path& folder) {
    Figure figure{"floor_fsync", "floor: append 200 bytes and fsync", "ms", {}};
    const int fd = ::open((folder / "journal").c_str(), O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0600);
    const std::string line(200, 'x');
    for (int i = 0; i < kSyncs; ++i) {
        const auto begin = Clock::now();
        if (::write(fd, line.data(), line.size()) < 0 || ::fsync(fd) != 0)
            throw std::runtime_error{"fsync fails"};
        figure.samples.push_back(milliseconds_since(begin));
    }
    ::close(fd);
    return figure;
}

Figure files(const std::filesystem::path& folder) {
    const std::string bytes(1024, 'x');
    const auto begin = Clock::now();
    for (int i = 0; i < kFiles; ++i) {
        std::ofstream out{folder / std::to_string(i), std::ios::binary};
        out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    }
    return {"floor_files",
            "floor: create files of 1 KiB",
            "files/s",
            {kFiles / milliseconds_since(begin) * 1000}};
}

Figure spawns() {
    Figure figure{"floor_spawn", "floor: spawn /bin/true and wait for it", "ms", {}};
    for (int i = 0; i < kSpawns; ++i) {
        const auto begin = Clock::now();
        const Result<engines::Child> child = engines::spawn_child("/bin/true", {});
        if (!child) throw std::runtime_error{child.error().describe()};
        ::waitpid(child->pid, nullptr, 0);
        figure.samples.push_back(milliseconds_since(begin));
    }
    return figure;
}

}  // namespace

void bench_floors(Figures& figures, const std::filesystem::path& folder) {
    std::filesystem::create_directory(folder);
    figures.add(syncs(folder));
    figures.add(files(folder));
    figures.add(spawns());
}

}  // namespace nsa::bench
