#include "journal/journal.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "journal/run_dir.hpp"
#include "posix/errno_error.hpp"
#include "posix/files.hpp"

namespace nsa::journal {

Result<Journal> Journal::open(int run_dir) {
    Journal journal;
    journal.file_.reset(
        ::openat(run_dir, kJournalFile, O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0644));
    if (!journal.file_) return posix::errno_error(errno, "open the journal");
    const auto tail = read_tail(journal.file_.get());
    if (!tail) return tail.error();
    if (::ftruncate(journal.file_.get(), static_cast<off_t>(tail->whole_size)) != 0) {
        return posix::errno_error(errno, "cut the torn end off the journal");
    }
    journal.size_ = tail->whole_size;
    journal.last_seq_ = tail->last ? tail->last->seq : 0;
    // The file's name must survive a power cut as well as its lines.
    if (const auto synced = posix::sync_dir(run_dir); !synced) return synced.error();
    return journal;
}

void Journal::append(language::EventBody body, std::int64_t wall_ms) {
    pending_ += language::to_line({++last_seq_, wall_ms, std::move(body)});
}

Result<void> Journal::write() {
    if (pending_.empty()) return {};
    auto written = posix::write_all(file_.get(), pending_, "append to the journal");
    if (!written) {
        // A reader may have seen the lines; they will be written again, byte for byte.
        if (::ftruncate(file_.get(), static_cast<off_t>(size_)) != 0) {
            return posix::errno_error(errno, "take back what was half written to the journal");
        }
        return written;
    }
    size_ += pending_.size();
    pending_.clear();
    return {};
}

Result<void> Journal::sync() const {
    if (::fdatasync(file_.get()) != 0) return posix::errno_error(errno, "fsync of the journal");
    return {};
}

}  // namespace nsa::journal
