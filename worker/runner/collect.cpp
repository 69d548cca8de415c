#include "runner/collect.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>

#include "journal/run_dir.hpp"
#include "language/hash.hpp"
#include "language/utf8.hpp"
#include "posix/files.hpp"
#include "runner/globs.hpp"

namespace nsa::runner {
namespace {

struct CloseDir {
    void operator()(DIR* dir) const { ::closedir(dir); }
};

class Collector {
  public:
    Collector(int run_dir, const CollectLimits& limits) : run_dir_{run_dir}, limits_{limits} {}

    // The files that every step has; absent ones are absent.
    void add_logs(const StepFiles& step) {
        for (const char* name : {journal::kStdout, journal::kStderr, journal::kResults}) {
            add(step.folder + "/" + name, Absence::kFine);
        }
    }
    void add_artifacts(const StepFiles& step) {
        if (step.globs.empty()) return;
        std::vector<std::string> found;
        entries_left_ = kMostEntries;
        walk(step, "", 0, found);
        std::sort(found.begin(), found.end());
        for (const auto& path : found)
            add(step.folder + "/" + path, Absence::kWrong);
    }
    Collected take() { return std::move(out_); }

  private:
    enum class Absence { kFine, kWrong };
    static constexpr std::size_t kMostEntries = 200'000;  // looked at in one step's folder
    static constexpr int kMostDepth = 24;

    void leave_out(const std::string& path, const std::string& why) {
        ++out_.left_out_count;
        // A hostile name must not break the journal's lines.
        if (out_.left_out.size() < 20) {
            out_.left_out.push_back(
                (language::is_utf8(path) ? path : std::string{"a name that is not UTF-8"}) + ": " + why);
        }
    }

    // Names of matching files below folder/inner, relative to the step's folder.
    void walk(const StepFiles& step, const std::string& inner, int depth, std::vector<std::string>& found) {
        const std::string folder = inner.empty() ? step.folder : step.folder + "/" + inner;
        auto fd = posix::open_dir_below(run_dir_, folder, posix::Missing::kFail);
        if (!fd) return leave_out(folder, fd.error().text);
        const std::unique_ptr<DIR, CloseDir> dir{::fdopendir(fd->release())};
        if (dir == nullptr) return leave_out(folder, "cannot be listed");
        while (const dirent* entry = ::readdir(dir.get())) {
            const std::string name = entry->d_name;
            if (name == "." || name == "..") continue;
            if (entries_left_ == 0)
                return leave_out(folder, "the step's folder holds too many files to look at");
            --entries_left_;
            visit(step, inner.empty() ? name : inner + "/" + name, ::dirfd(dir.get()), name, depth, found);
        }
    }

    void visit(const StepFiles& step, const std::string& path, int dir, const std::string& name, int depth,
               std::vector<std::string>& found) {
        struct stat info {};
        if (::fstatat(dir, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) return;
        if (S_ISDIR(info.st_mode)) {
            if (depth >= kMostDepth) return leave_out(step.folder + "/" + path, "lies too deep");
            return walk(step, path, depth + 1, found);
        }
        const bool is_log = path == journal::kStdout || path == journal::kStderr || path == journal::kResults;
        const bool wanted = std::any_of(step.globs.begin(), step.globs.end(),
                                        [&](const std::string& glob) { return glob_matches(glob, path); });
        if (wanted && !is_log) found.push_back(path);
    }

    void add(const std::string& path, Absence absence) {
        if (!language::is_safe_relative_path(path) || !language::is_utf8(path)) {
            return leave_out(language::is_safe_relative_path(path) ? path : "a name with control characters",
                             "the name cannot travel");
        }
        if (out_.manifest.size() >= limits_.files) {
            return leave_out(path, "over the limit of " + std::to_string(limits_.files) + " files");
        }
        struct stat info {};
        const auto file = posix::open_regular_below(run_dir_, path, &info);
        if (!file) {
            if (absence == Absence::kFine && file.error().code == ErrorCode::kNotFound) return;
            return leave_out(path, file.error().text);
        }
        if (info.st_nlink > 1) return leave_out(path, "has a second name (hard link)");
        const auto size = static_cast<std::uint64_t>(info.st_size);
        if (size > limits_.bytes - out_.bytes) {
            return leave_out(path, std::to_string(size) + " bytes, over the limit of " +
                                       std::to_string(limits_.bytes) + " bytes per run");
        }
        hash(path, file->get(), size);
    }

    void hash(const std::string& path, int file, std::uint64_t size) {
        Sha256Hasher hasher;
        std::uint64_t done = 0;
        while (done < size) {
            buffer_.clear();
            const auto count =
                posix::read_at(file, done, std::min<std::uint64_t>(size - done, 1U << 20), buffer_);
            if (!count) return leave_out(path, count.error().text);
            if (*count == 0) return leave_out(path, "changed while it was read");
            hasher.update(buffer_);
            done += *count;
        }
        out_.manifest.push_back({path, size, hasher.finish()});
        out_.bytes += size;
    }

    int run_dir_;
    CollectLimits limits_;
    Collected out_;
    std::string buffer_;
    std::size_t entries_left_ = 0;
};

}  // namespace

Collected collect(int run_dir, const std::vector<StepFiles>& steps, const CollectLimits& limits) {
    Collector collector{run_dir, limits};
    for (const auto& step : steps)
        collector.add_logs(step);
    for (const auto& step : steps)
        collector.add_artifacts(step);
    return collector.take();
}

}  // namespace nsa::runner
