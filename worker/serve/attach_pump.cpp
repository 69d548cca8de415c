#include "serve/attach_pump.hpp"

#include <sys/stat.h>

#include <algorithm>

#include "journal/run_dir.hpp"
#include "language/event.hpp"
#include "language/utf8.hpp"
#include "posix/files.hpp"

namespace nsa::serve {
namespace {

// Beside its bytes a kLog payload has the path, its size and the offset.
std::size_t overhead_of(const std::string& path) {
    return 2 + path.size() + 8;
}

constexpr std::uint64_t kLargestPiece = protocol::kDataChunk - 4096;  // a frame with its path stays a chunk

std::string setup_folder(int index) {
    return std::string{journal::kSetupFolder} + "/" + std::to_string(index);
}

}  // namespace

AttachPump::AttachPump(UniqueFd run_dir, UniqueFd journal, const protocol::Attach& request)
    : run_dir_{std::move(run_dir)},
      lines_{std::move(journal)},
      from_seq_{request.from_seq},
      offsets_{request.log_offsets} {
    follow_folder(setup_folder(0));
}

Result<AttachPump> AttachPump::open(UniqueFd run_dir, const protocol::Attach& request) {
    auto journal = posix::open_regular(run_dir.get(), journal::kJournalFile);
    if (!journal) return journal.error();
    return AttachPump{std::move(run_dir), std::move(*journal), request};
}

Result<std::optional<DataFrame>> AttachPump::next(std::uint64_t credit) {
    auto events = next_events(credit);
    if (!events || *events) return events;
    return next_log(credit);
}

// Events go first: they are small, and the client shows them at once.
Result<std::optional<DataFrame>> AttachPump::next_events(std::uint64_t credit) {
    caught_up_ = false;
    const auto limit = static_cast<std::size_t>(std::min<std::uint64_t>(credit, protocol::kDataChunk));
    for (;;) {
        // Lines that the client has are read at full width, whatever its credit.
        const bool skipping = seen_seq_ + 1 < from_seq_;
        auto text = lines_.read(skipping ? protocol::kDataChunk : limit);
        if (!text) return text.error();
        if (text->empty()) {
            // Without credit nothing was read: there may be more.
            caught_up_ = skipping || limit > 0;
            return std::optional<DataFrame>{};
        }
        std::size_t start = 0, wanted = std::string::npos;
        while (start < text->size()) {
            const std::size_t end = text->find('\n', start) + 1;
            if (seen_seq_ + 1 >= from_seq_) {
                wanted = std::min(wanted, start);
                if (end - wanted > limit) break;
            }
            ++seen_seq_;
            follow(std::string_view{*text}.substr(start, end - start));
            start = end;
        }
        if (start < text->size()) lines_.unread(text->size() - start);
        if (wanted == std::string::npos) continue;
        if (start == wanted) return std::optional<DataFrame>{};  // the line is longer than the credit
        return std::optional{DataFrame{protocol::FrameType::kEvents, text->substr(wanted, start - wanted)}};
    }
}

void AttachPump::follow(std::string_view line) {
    const std::string_view name = journal::event_name(line);
    const bool starts = name == language::CaseStarted::kName;
    if (starts || name == language::CaseFinished::kName || name == language::RunFinished::kName) {
        // Steps run one after the other: another event of this kind closes all logs before it.
        finalize();
        ended_ = ended_ || name == language::RunFinished::kName;
    } else if (name == language::SetupFinished::kName) {
        finalize();
        follow_folder(setup_folder(++setup_));
    }
    if (!starts) return;
    const auto event = language::event_from_line(line);
    if (!event) return;  // the client gets the line as it stands, and refuses it
    if (const auto* started = std::get_if<language::CaseStarted>(&event->body)) {
        follow_folder(std::string{journal::kStepsFolder} + "/" + language::case_folder(started->key));
    }
}

void AttachPump::follow_folder(const std::string& folder) {
    if (!followed_.insert(folder).second) return;
    for (const char* name : {journal::kStdout, journal::kStderr}) {
        Log log{.path = folder + "/" + name, .offset = 0, .final = ended_, .file = {}};
        if (const auto wanted = offsets_.find(log.path); wanted != offsets_.end())
            log.offset = wanted->second;
        logs_.push_back(std::move(log));
    }
}

void AttachPump::finalize() {
    for (Log& log : logs_)
        log.final = true;
}

void AttachPump::follow_unrecorded_steps() {
    for (const auto& name : posix::list_dir(run_dir_.get(), journal::kStepsFolder)) {
        const std::string folder = std::string{journal::kStepsFolder} + "/" + name;
        if (language::is_safe_relative_path(folder) && language::is_utf8(folder)) follow_folder(folder);
    }
}

void AttachPump::supervisor_is_dead() {
    follow_unrecorded_steps();
    ended_ = true;
    finalize();
}

std::uint64_t AttachPump::bytes_left(const Log& log) {
    struct stat info {};
    if (::fstat(log.file.get(), &info) != 0) return 0;
    const auto size = static_cast<std::uint64_t>(info.st_size);
    return size > log.offset ? size - log.offset : 0;
}

std::optional<DataFrame> AttachPump::read_log(Log& log, std::uint64_t count) {
    std::string bytes;
    const auto read = posix::read_at(log.file.get(), log.offset, static_cast<std::size_t>(count), bytes);
    if (!read || *read == 0) return std::nullopt;  // it was cut just now
    DataFrame frame{protocol::FrameType::kLog, protocol::encode_log(log.path, log.offset, bytes)};
    log.offset += *read;
    return frame;
}

std::optional<DataFrame> AttachPump::next_log(std::uint64_t credit) {
    for (auto log = logs_.begin(); log != logs_.end();) {
        if (!log->file) {
            auto file = posix::open_regular_below(run_dir_.get(), log->path);
            if (file) log->file = std::move(*file);
            // A setup command that was skipped has no logs, one that is still to come has none yet.
            if (!file && (log->final || file.error().code != ErrorCode::kNotFound)) {
                log = logs_.erase(log);
                continue;
            }
        }
        const bool is_final = log->final;  // asked before the size, or bytes could slip in between
        if (const std::uint64_t left = log->file ? bytes_left(*log) : 0; left > 0) {
            if (credit <= overhead_of(log->path)) return std::nullopt;
            const std::uint64_t count = std::min({left, credit - overhead_of(log->path), kLargestPiece});
            auto frame = read_log(*log, count);
            // Behind the others: a flood of one log must not hold back what another says.
            std::rotate(log, std::next(log), logs_.end());
            return frame;
        }
        log = is_final ? logs_.erase(log) : std::next(log);
    }
    return std::nullopt;
}

}  // namespace nsa::serve
