#include "cli/pull.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>

#include "language/event.hpp"
#include "language/hash.hpp"
#include "system/disk_full.hpp"

namespace nsa::cli {
namespace {

namespace fs = std::filesystem;

Error file_error(std::string_view what, const fs::path& path, int number) {
    const ErrorCode code = is_disk_full(number) ? ErrorCode::kNoSpace
                           : number == ENOENT   ? ErrorCode::kNotFound
                                                : ErrorCode::kInternal;
    return fail(code, std::string(what) + ": " + std::strerror(number), path.string());
}

// The hash of what was copied.
Result<Sha256> copy_and_hash(const fs::path& from, const fs::path& to) {
    std::ifstream in(from, std::ios::binary);
    if (!in) return file_error("cannot read the artifact", from, errno);
    std::ofstream out(to, std::ios::binary | std::ios::trunc);
    if (!out) return file_error("cannot write", to, errno);
    Sha256Hasher hasher;
    std::array<char, 1U << 16U> block{};
    while (in) {
        in.read(block.data(), block.size());
        const std::string_view bytes(block.data(), static_cast<std::size_t>(in.gcount()));
        hasher.update(bytes);
        out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    }
    if (in.bad()) return file_error("cannot read the artifact", from, errno);
    out.close();
    if (!out) return file_error("cannot write", to, errno);
    return hasher.finish();
}

}  // namespace

Result<void> pull_file(const api::ArtifactView& artifact, const fs::path& into) {
    if (!language::is_safe_relative_path(artifact.path))
        return fail(ErrorCode::kCorrupt, "this name could leave the folder", "artifact " + artifact.path);
    const fs::path target = into / artifact.path;
    fs::path part = target;
    part += ".part";
    std::error_code problem;
    fs::create_directories(target.parent_path(), problem);
    if (problem) return file_error("cannot make the folder", target.parent_path(), problem.value());
    const auto hash = copy_and_hash(artifact.stored_at, part);
    if (hash && *hash == artifact.sha256) {
        fs::rename(part, target, problem);
        if (!problem) return {};
        return file_error("cannot put it in place", target, problem.value());
    }
    fs::remove(part, problem);  // the first error is the one to tell
    if (!hash) return hash.error();
    return fail(ErrorCode::kCorrupt, "the stored file has another SHA-256 than was recorded: " + hash->value,
                "artifact " + artifact.path);
}

Result<std::string> read_whole_file(const fs::path& path) {
    std::ifstream in(path, std::ios::binary);
    if (!in) return file_error("cannot read it", path, errno);
    return std::string(std::istreambuf_iterator<char>(in), {});
}

}  // namespace nsa::cli
