#include "api/state_paths.hpp"

namespace nsa::api {
namespace {

namespace fs = std::filesystem;

// A relative XDG_STATE_HOME is to be ignored, as its specification says.
fs::path default_state_dir(const Getenv& getenv) {
    const fs::path xdg = getenv("XDG_STATE_HOME");
    if (xdg.is_absolute()) return xdg / "nsa";
    const fs::path home = getenv("HOME");
    return home.is_absolute() ? home / ".local" / "state" / "nsa" : fs::path{};
}

}  // namespace

Result<StatePaths> state_paths(const PathFlags& flags, const Getenv& getenv, bool artifacts_here,
                               const fs::path& working_directory) {
    const auto first_of = [](std::string first, std::string second) {
        return fs::path(first.empty() ? std::move(second) : std::move(first));
    };
    StatePaths paths;
    paths.state_dir = first_of(flags.state_dir, getenv("NSA_STATE_DIR"));
    if (paths.state_dir.empty()) paths.state_dir = default_state_dir(getenv);
    if (paths.state_dir.empty())
        return fail(ErrorCode::kUsage, "HOME is not set; give --state-dir or NSA_STATE_DIR", "state folder");
    paths.state_dir = working_directory / paths.state_dir;
    paths.socket = working_directory / first_of(flags.socket, (paths.state_dir / "nsad.sock").string());
    paths.artifacts_dir = first_of(flags.artifacts_dir, getenv("NSA_ARTIFACTS_DIR"));
    if (paths.artifacts_dir.empty())
        paths.artifacts_dir = artifacts_here ? fs::path("artifacts") : paths.state_dir / "artifacts";
    paths.artifacts_dir = working_directory / paths.artifacts_dir;
    return paths;
}

}  // namespace nsa::api
