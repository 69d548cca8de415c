#include "instances/core_bundle.hpp"

#include <algorithm>
#include <fstream>

#include "language/event.hpp"
#include "language/hash.hpp"

namespace nsa::instances {
namespace fs = std::filesystem;
namespace {

constexpr std::size_t kMaxFiles = 4096;
constexpr std::uint64_t kMaxBytes = 64U << 20;  // sources; more is a wrong folder

Result<BundleFile> describe(const fs::path& root, const fs::path& local) {
    BundleFile file;
    file.local = local;
    file.path = local.lexically_relative(root).generic_string();
    if (!language::is_safe_relative_path(file.path)) {
        return fail(ErrorCode::kUsage, "a source file's name cannot travel; use plain characters",
                    local.string());
    }
    std::ifstream in{local, std::ios::binary};
    Sha256Hasher hasher;
    std::string chunk(64U << 10, '\0');
    while (in) {
        in.read(chunk.data(), static_cast<std::streamsize>(chunk.size()));
        const auto n = static_cast<std::size_t>(in.gcount());
        hasher.update(std::string_view{chunk}.substr(0, n));
        file.size += n;
    }
    if (!in.eof()) return fail(ErrorCode::kNotFound, "a source file cannot be read", local.string());
    file.sha256 = hasher.finish();
    return file;
}

bool is_hidden(const fs::path& path) {
    return path.filename().string().front() == '.';
}

}  // namespace

Result<CoreBundle> read_core_bundle(const fs::path& nsa_core) {
    std::error_code error;
    if (!fs::is_regular_file(nsa_core / "CMakeLists.txt", error)) {
        return fail(ErrorCode::kNotFound, "no sources of nsa_core: the folder holds no CMakeLists.txt",
                    nsa_core.string());
    }
    CoreBundle bundle;
    std::uint64_t bytes = 0;
    fs::recursive_directory_iterator it{nsa_core, error}, end;
    for (; !error && it != end; it.increment(error)) {
        if (is_hidden(it->path())) {
            it.disable_recursion_pending();
            continue;
        }
        if (it->is_symlink() || !it->is_regular_file()) continue;
        Result<BundleFile> file = describe(nsa_core, it->path());
        if (!file) return file.error();
        bytes += file->size;
        bundle.files.push_back(*std::move(file));
        if (bundle.files.size() > kMaxFiles || bytes > kMaxBytes) {
            return fail(ErrorCode::kUsage,
                        "more than 4096 files or 64 MiB; is this the source folder of nsa_core?",
                        nsa_core.string());
        }
    }
    if (error) return fail(ErrorCode::kNotFound, "cannot be listed: " + error.message(), nsa_core.string());
    std::sort(bundle.files.begin(), bundle.files.end(),
              [](const BundleFile& a, const BundleFile& b) { return a.path < b.path; });
    Sha256Hasher hasher;
    for (const BundleFile& file : bundle.files)
        hasher.update(file.sha256.value + "  " + file.path + "\n");
    bundle.hash = hasher.finish();
    return bundle;
}

}  // namespace nsa::instances
