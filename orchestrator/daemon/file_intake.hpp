// Writes fetched pieces to files and hashes them on the way. Blocking; one thread at a time.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>

#include "daemon/attempt_files.hpp"
#include "language/event.hpp"
#include "language/hash.hpp"
#include "protocol/messages.hpp"

namespace nsa::daemon {

// The entries that are not here with that size and hash.
Result<language::Manifest> missing_of(const AttemptFiles& files, const language::Manifest& manifest);

class FileIntake {
  public:
    // kManifest: whole files, size and hash must hold. kNothing: nobody knows either; what is at home already
    // (the entry's size) stays, and what the host has beyond it is added.
    enum class Verify { kManifest, kNothing };

    // `expected` outlives the object: the files that were asked for, in any order.
    FileIntake(AttemptFiles& files, std::span<const language::ManifestEntry> expected,
               Verify verify = Verify::kManifest);

    // kProtocol: a file that was not asked for, or pieces out of order. kCorrupt: size or hash differ. A file
    // that another one interrupts has not come.
    Result<void> take(std::span<const protocol::FilePiece> pieces);
    // kCorrupt names a file that did not come.
    Result<void> finish() const;

  private:
    struct Open {
        const language::ManifestEntry* entry = nullptr;
        UniqueFd file;
        std::uint64_t size = 0, next = 0;
        Sha256Hasher hasher;
    };
    Result<void> begin(const protocol::FilePiece& piece);
    Result<void> end();

    AttemptFiles& files_;
    std::map<std::string_view, const language::ManifestEntry*> awaited_;
    Verify verify_;
    std::optional<Open> open_;  // files come one after the other
    std::size_t files_ahead_ = 0;
    std::uint64_t bytes_ahead_ = 0;  // since the disk was last asked for them
};

}  // namespace nsa::daemon
