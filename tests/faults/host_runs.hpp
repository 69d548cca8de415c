// What the hosts of a trial say: the run directories of their workers, and the marks that steps left.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace nsa::faults {

struct HostRun {
    std::string run;
    int attempt = 0;
    std::filesystem::path folder;
    std::vector<std::string> journal;  // whole lines, without the newline
    std::map<std::string, std::string>
        manifest;  // path -> SHA-256, as run_finished announced it; empty: none
};

// Of every home (a folder that holds runs/), by "<run>.<attempt>". A home without runs/ has none.
std::multimap<std::string, HostRun> read_host_runs(const std::vector<std::filesystem::path>& homes);

// How often each run directory's step was started: one line each of the marks file.
std::map<std::string, int> read_marks(const std::filesystem::path& marks);

// Empty when the file cannot be read, or is shorter.
std::string sha256_of_file(const std::filesystem::path& file);
std::string sha256_of_beginning(const std::filesystem::path& file, std::uint64_t size);

}  // namespace nsa::faults
