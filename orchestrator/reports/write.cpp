#include "reports/write.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <functional>

#include "language/failpoint.hpp"
#include "language/hash.hpp"
#include "reports/load.hpp"
#include "reports/render.hpp"
#include "store/store.hpp"
#include "system/file_error.hpp"
#include "system/unique_fd.hpp"

namespace nsa::reports {

namespace {

namespace fs = std::filesystem;

// Puts the bytes of a new file into the descriptor.
using Fill = std::function<Result<void>(int)>;

Result<void> write_bytes(int file, std::string_view bytes, const fs::path& path) {
    while (!bytes.empty()) {
        const ssize_t written = ::write(file, bytes.data(), bytes.size());
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return file_error(errno, "cannot write", path);
        bytes.remove_prefix(static_cast<std::size_t>(written));
    }
    return {};
}

Result<void> write_whole(const fs::path& path, const Fill& fill) {
    const UniqueFd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
    if (!file) return file_error(errno, "cannot write", path);
    if (Result<void> filled = fill(file.get()); !filled) return filled;
    if (::fsync(file.get()) != 0) return file_error(errno, "cannot sync", path);
    return {};
}

// A reader sees the old file or the whole new one.
Result<void> replace(const fs::path& path, const Fill& fill) {
    const fs::path temporary = path.string() + ".tmp";
    if (Result<void> written = write_whole(temporary, fill); !written) return written;
    failpoint("daemon.report.before_rename");
    if (::rename(temporary.c_str(), path.c_str()) != 0)
        return file_error(errno, "cannot name the file", path);
    failpoint("daemon.report.after_rename");
    const UniqueFd folder(::open(path.parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!folder || ::fsync(folder.get()) != 0)
        return file_error(errno, "cannot sync the folder", path.parent_path());
    return {};
}

Result<void> replace(const fs::path& path, std::string_view bytes) {
    return replace(path, [&](int file) { return write_bytes(file, bytes, path); });
}

Result<void> copy_bytes(int from, const fs::path& source, int to, const fs::path& target) {
    std::string buffer(std::size_t{256} << 10, '\0');
    for (;;) {
        const ssize_t count = ::read(from, buffer.data(), buffer.size());
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return file_error(errno, "cannot read", source);
        if (count == 0) return {};
        const std::string_view piece(buffer.data(), static_cast<std::size_t>(count));
        if (Result<void> written = write_bytes(to, piece, target); !written) return written;
    }
}

// The table people open first, where people look for it. A run without one has none, and one whose artifacts
// were cleared away keeps the copy that it has: the report needs the store alone.
Result<void> copy_decode_csv(const RunFacts& facts, const fs::path& folder) {
    for (const store::ArtifactRow& artifact : facts.artifacts) {
        if (fs::path(artifact.path).filename() != "decode.csv") continue;
        const fs::path source = fs::path(facts.run.artifact_dir) / artifact.path,
                       target = folder / "decode.csv";
        const UniqueFd file(::open(source.c_str(), O_RDONLY | O_CLOEXEC));
        if (!file && (errno == ENOENT || errno == ENOTDIR)) return {};
        if (!file) return file_error(errno, "cannot read", source);
        return replace(target, [&](int copy) { return copy_bytes(file.get(), source, copy, target); });
    }
    return {};
}

Result<void> make_folder(const fs::path& folder) {
    std::error_code failed;
    fs::create_directories(folder, failed);
    if (!failed) return {};
    return file_error(failed.value(), "cannot make the folder", folder);
}

Result<void> write_figures(const std::vector<Figure>& figures, const fs::path& folder) {
    for (const Figure& figure : figures) {
        const fs::path path = folder / figure.path;
        if (Result<void> made = make_folder(path.parent_path()); !made) return made;
        if (Result<void> written = replace(path, figure.svg); !written) return written;
    }
    return {};
}

}  // namespace

Result<store::ReportRow> write_report(store::Store& store, const RunId& run, const std::string& folder,
                                      std::int64_t now_ms) {
    Result<RunFacts> facts = load(store, run);
    if (!facts) return facts.error();
    const Rendered rendered = render(*facts);
    if (Result<void> made = make_folder(folder); !made) return made.error();
    const fs::path base = fs::absolute(folder);
    store::ReportRow row = facts->report;
    struct Output {
        const char* ending;
        const std::string& bytes;
        std::string& path;
        Sha256& hash;
    };
    if (Result<void> drawn = write_figures(rendered.figures, base); !drawn) return drawn.error();
    for (const Output& output : {Output{".md", rendered.markdown, row.markdown_path, row.markdown_sha256},
                                 Output{".html", rendered.html, row.html_path, row.html_sha256},
                                 Output{".json", rendered.json, row.json_path, row.json_sha256}}) {
        const fs::path path = base / (rendered.stem + output.ending);
        if (Result<void> written = replace(path, output.bytes); !written) return written.error();
        output.path = path.string();
        output.hash = sha256_of(output.bytes);
    }
    if (Result<void> copied = copy_decode_csv(*facts, base); !copied) return copied.error();
    row.recorded_ms = now_ms;
    failpoint("daemon.report.before_record");
    if (Result<void> recorded = store.record_report(row); !recorded) return recorded.error();
    failpoint("daemon.report.recorded");
    return store.find_report(run);
}

}  // namespace nsa::reports
