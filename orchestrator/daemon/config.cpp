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
    const fs::path installed = (bin / "../share/nsa/nsa_core").lexically_normal();
    if (!if_there(installed / "CMakeLists.txt").empty()) found.nsa_core_source = installed;
    return found;
}

fs::path this_program() {
    std::error_code ec;
    return fs::read_symlink("/proc/self/exe", ec);
}

}  // namespace nsa::daemon
