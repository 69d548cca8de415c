#include "daemon/file_intake.hpp"

#include <algorithm>

#include "language/failpoint.hpp"

namespace nsa::daemon {

using language::ManifestEntry;

namespace {

// So much is worth a write-back while more comes.
constexpr std::size_t kFilesAhead = 2'000;
constexpr std::uint64_t kBytesAhead = std::uint64_t{64} << 20;

}  // namespace

Result<language::Manifest> missing_of(const AttemptFiles& files, const language::Manifest& manifest) {
    language::Manifest missing;
    const std::map<std::string, std::uint64_t> here_now = files.sizes();
    for (const ManifestEntry& entry : manifest) {
        const auto found = here_now.find(entry.path);
        const bool may_be_here = found != here_now.end() && found->second == entry.size;
        const Result<store::ArtifactRow> here =
            may_be_here ? files.describe(entry.path) : fail(ErrorCode::kNotFound, "not here");
        if (!here && here.error().code != ErrorCode::kNotFound) return here.error();
        if (!here || here->sha256 != entry.sha256) missing.push_back(entry);
    }
    return missing;
}

FileIntake::FileIntake(AttemptFiles& files, std::span<const ManifestEntry> expected, Verify verify)
    : files_(files), verify_(verify) {
    for (const ManifestEntry& entry : expected)
        awaited_.emplace(entry.path, &entry);
}

Result<void> FileIntake::begin(const protocol::FilePiece& piece) {
    const auto found = awaited_.find(piece.path);
    const bool resumed = verify_ == Verify::kNothing;
    const bool asked = found != awaited_.end();
    // A host that lost the end of a log has less than we do: then it sends nothing, from the end it has.
    const std::uint64_t from = asked && resumed ? std::min(found->second->size, piece.file_size) : 0;
    if (!asked || piece.offset != from) {
        return fail(ErrorCode::kProtocol, "the worker sent a piece that was not asked for",
                    std::string(piece.path));
    }
    const ManifestEntry& entry = *found->second;
    if (verify_ == Verify::kManifest && piece.file_size != entry.size) {
        return fail(ErrorCode::kCorrupt,
                    "the file has " + std::to_string(piece.file_size) + " bytes, its manifest says " +
                        std::to_string(entry.size),
                    entry.path);
    }
    open_.emplace();
    open_->entry = &entry;
    open_->size = piece.file_size;
    open_->next = from;
    Result<UniqueFd> created = resumed ? files_.resume(entry.path) : files_.create(entry.path);
    if (!created) return created.error();
    open_->file = std::move(*created);
    failpoint("daemon.collect.file_begun");
    return {};
}

Result<void> FileIntake::end() {
    const ManifestEntry& entry = *open_->entry;
    const Sha256 hash = open_->hasher.finish();
    bytes_ahead_ += open_->size;
    open_.reset();
    if (++files_ahead_ >= kFilesAhead || bytes_ahead_ >= kBytesAhead) {
        files_.sync_ahead();
        files_ahead_ = 0;
        bytes_ahead_ = 0;
    }
    awaited_.erase(entry.path);
    failpoint("daemon.collect.file_taken");
    if (verify_ == Verify::kNothing || hash == entry.sha256) return {};
    return fail(ErrorCode::kCorrupt, "the file that came does not have the hash of its manifest", entry.path);
}

Result<void> FileIntake::take(std::span<const protocol::FilePiece> pieces) {
    for (const protocol::FilePiece& piece : pieces) {
        // The host could not read on (the file shrank, its disk failed) and went to the next: what came stays
        // as it is, and is not the file.
        if (open_ && piece.path != open_->entry->path) open_.reset();
        if (!open_) {
            if (Result<void> begun = begin(piece); !begun) return begun;
        }
        const bool in_order = piece.offset == open_->next && piece.bytes.size() <= open_->size - open_->next;
        if (!in_order)
            return fail(ErrorCode::kProtocol, "the worker sent pieces out of order", std::string(piece.path));
        Result<void> written = files_.write_bytes(open_->file, piece.path, piece.offset, piece.bytes);
        if (!written) return written;
        open_->hasher.update(piece.bytes);
        open_->next += piece.bytes.size();
        if (open_->next < open_->size) continue;
        if (Result<void> ended = end(); !ended) return ended;
    }
    return {};
}

Result<void> FileIntake::finish() const {
    if (verify_ == Verify::kNothing || awaited_.empty()) return {};
    return fail(ErrorCode::kCorrupt, "a file of the manifest is not on the host any more, or not whole",
                std::string(awaited_.begin()->first));
}

}  // namespace nsa::daemon
