#include "host_runs.hpp"

#include <algorithm>
#include <boost/json/parse.hpp>
#include <fstream>
#include <iterator>

#include "language/event.hpp"
#include "language/hash.hpp"

namespace nsa::faults {

namespace fs = std::filesystem;

namespace {

std::vector<std::string> lines_of(const fs::path& file) {
    std::ifstream in{file, std::ios::binary};
    const std::string text{std::istreambuf_iterator<char>{in}, {}};
    std::vector<std::string> lines;
    std::size_t begin = 0;
    for (std::size_t end = text.find('\n'); end != std::string::npos; end = text.find('\n', begin)) {
        lines.push_back(text.substr(begin, end - begin));
        begin = end + 1;
    }
    return lines;
}

std::map<std::string, std::string> manifest_of(const fs::path& file) {
    std::ifstream in{file, std::ios::binary};
    const std::string text{std::istreambuf_iterator<char>{in}, {}};
    std::map<std::string, std::string> found;
    boost::system::error_code ec;
    const boost::json::value value = boost::json::parse(text, ec);
    if (ec) return found;
    const Result<language::Manifest> manifest = language::manifest_from_json(value);
    if (!manifest) return found;
    for (const language::ManifestEntry& entry : *manifest)
        found[entry.path] = entry.sha256.value;
    return found;
}

bool is_finished(const HostRun& run) {
    return !run.journal.empty() && run.journal.back().find("\"event\":\"run_finished\"") != std::string::npos;
}

}  // namespace

std::multimap<std::string, HostRun> read_host_runs(const std::vector<fs::path>& homes) {
    std::multimap<std::string, HostRun> runs;
    for (const fs::path& home : homes) {
        std::error_code none;
        for (const auto& entry : fs::directory_iterator{home / "runs", none}) {
            const std::string name = entry.path().filename().string();
            const std::size_t dot = name.rfind('.');
            if (dot == std::string::npos) continue;
            HostRun run;
            run.run = name.substr(0, dot);
            run.attempt = std::atoi(name.c_str() + dot + 1);
            run.folder = entry.path();
            run.journal = lines_of(run.folder / "journal.jsonl");
            // One whose worker died before it said so is not fetched: what comes home are the remains.
            if (is_finished(run)) run.manifest = manifest_of(run.folder / "manifest.json");
            runs.emplace(name, std::move(run));
        }
    }
    return runs;
}

std::map<std::string, int> read_marks(const fs::path& marks) {
    std::map<std::string, int> counts;
    for (const std::string& line : lines_of(marks))
        ++counts[fs::path{line}.filename().string()];
    return counts;
}

std::string sha256_of_beginning(const fs::path& file, std::uint64_t size) {
    std::ifstream in{file, std::ios::binary};
    if (!in) return {};
    Sha256Hasher hasher;
    std::string buffer(256U << 10, '\0');
    while (size > 0) {
        in.read(buffer.data(), static_cast<std::streamsize>(std::min<std::uint64_t>(size, buffer.size())));
        if (in.gcount() == 0) return {};
        hasher.update(std::string_view{buffer}.substr(0, static_cast<std::size_t>(in.gcount())));
        size -= static_cast<std::uint64_t>(in.gcount());
    }
    return hasher.finish().value;
}

std::string sha256_of_file(const fs::path& file) {
    std::error_code missing;
    const std::uintmax_t size = fs::file_size(file, missing);
    return missing ? std::string{} : sha256_of_beginning(file, size);
}

}  // namespace nsa::faults
