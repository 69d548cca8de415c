#include "daemon/config.hpp"

namespace nsa::daemon {

namespace fs = std::filesystem;

namespace {

fs::path if_there(const fs::path& path) {
    std::error_code ec;
    return fs::exists(path, ec) ? path : fs::path{};
}

}  // namespace

Siblings find_siblings(const fs::path& program) {
    const fs::path bin = program.parent_path();
    Siblings found;
    found.worker = if_there(bin / "nsa-worker");
    found.nsa_core = if_there(bin / "nsa-core");
    for (const fs::path& source : {bin / "../share/nsa/nsa_core", fs::path(NSA_CORE_SOURCE_DIR)}) {
        const bool is_there = !if_there(source / "CMakeLists.txt").empty();
        if (is_there && found.nsa_core_source.empty()) found.nsa_core_source = source.lexically_normal();
    }
    return found;
}

fs::path this_program() {
    std::error_code ec;
    return fs::read_symlink("/proc/self/exe", ec);
}

}  // namespace nsa::daemon
