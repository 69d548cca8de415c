// The files of one attempt on this host: artifacts/<run>/<attempt>/steps/<case>/{stdout,stderr,...}. Names
// come from the worker and are checked here; only regular files inside the folder are touched. Blocking.
#pragma once

#include <cstdint>
#include <filesystem>
#include <future>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/write_back.hpp"
#include "language/ids.hpp"
#include "language/result.hpp"
#include "store/rows.hpp"
#include "system/unique_fd.hpp"

namespace nsa::daemon {

std::filesystem::path attempt_dir(const std::filesystem::path& artifacts, const RunId& run, Attempt attempt);

class AttemptFiles {
  public:
    // `write_back`, of the file system of `dir`, outlives it.
    AttemptFiles(WriteBack& write_back, std::filesystem::path dir)
        : write_back_(write_back), dir_(std::move(dir)) {}
    ~AttemptFiles() { settle(); }
    AttemptFiles(const AttemptFiles&) = delete;
    AttemptFiles& operator=(const AttemptFiles&) = delete;

    const std::filesystem::path& dir() const { return dir_; }

    // kNoSpace when the disk is full, kProtocol for a name that leaves the folder. Makes missing folders.
    Result<void> write_at(std::string_view path, std::uint64_t offset, std::string_view bytes);
    // An empty file, open for write_bytes(): one open for a file that comes in many pieces.
    Result<UniqueFd> create(std::string_view path);
    Result<void> write_bytes(const UniqueFd& file, std::string_view path, std::uint64_t offset,
                             std::string_view bytes) const;
    // The same for a file that goes on where it ends here; made when missing.
    Result<UniqueFd> resume(std::string_view path);
    // Sizes of the regular files below steps/ and setup/, by path.
    std::map<std::string, std::uint64_t> sizes() const;
    // Of the logs that are here: where to go on.
    std::map<std::string, std::uint64_t> log_sizes() const;
    // At most `limit` bytes from `offset`; less at the end of the file; none when it is not there yet.
    Result<std::string> read_at(std::string_view path, std::uint64_t offset, std::size_t limit) const;
    // Size and hash of a file. kNotFound.
    Result<store::ArtifactRow> describe(const std::string& path) const;
    // Everything below steps/ and setup/, described, sorted by path.
    Result<std::vector<store::ArtifactRow>> describe_all() const;
    // All of it is on the disk and survives a power cut, what another AttemptFiles of this folder wrote, too.
    // One call for any number of files. Once it failed it fails for ever here; another AttemptFiles may try
    // again, and hashes what the disk has.
    Result<void> sync();
    // Starts to bring what is written so far to the disk, on a thread of its own, unless one is at it. So
    // sync() finds little left; it is still needed, and fails when this one failed.
    void sync_ahead();
    // Waits for one that is under way, as sync() and the destructor do: it is not to end on the loop.
    void settle();

  private:
    // Of a sync. What it could not write the kernel takes for written and still hands out from its memory,
    // until that is dropped here.
    void note_sync(int error);
    Result<UniqueFd> open_for_writing(std::string_view path, int flags);
    Result<int> folder(std::string_view path);  // made when missing; owned by folders_

    WriteBack& write_back_;
    std::filesystem::path dir_;
    std::map<std::string, UniqueFd, std::less<>> folders_;  // open, by relative path
    bool wrote_ = false;
    std::future<int> ahead_;  // errno
    int sync_failed_ = 0;     // the first errno; it is not told again
};

}  // namespace nsa::daemon
