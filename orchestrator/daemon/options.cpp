#include "daemon/options.hpp"

#include <CLI/CLI.hpp>
#include <iostream>

#include "api/state_paths.hpp"
#include "daemon/version.hpp"

namespace nsa::daemon {

namespace fs = std::filesystem;

namespace {

struct Flags {
    api::PathFlags paths;
    std::string nsa_core, nsa_core_source, worker, backup_to;
    double backup_minutes = 5;
    std::uint64_t reserve_mib = 64;
    bool foreground = false;
};

void declare(CLI::App& app, Flags& flags) {
    app.set_help_flag("-h,--help", "Show this help");
    app.get_formatter()->column_width(26);
    app.set_version_flag("--version", std::string("nsad ") + kVersion + " (" + kCommit + ")",
                         "Show the version");
    const auto option = [&app](const char* name, std::string& out, const char* type, const char* help) {
        app.add_option(name, out, help)->type_name(type);
    };
    option(
        "--state-dir", flags.paths.state_dir, "DIR",
        "Database, lock and log. Default: $NSA_STATE_DIR, else $XDG_STATE_HOME/nsa, else ~/.local/state/nsa");
    option("--artifacts", flags.paths.artifacts_dir, "DIR",
           "Logs, artifacts and reports. Default: $NSA_ARTIFACTS_DIR, else ./artifacts if there is one, else "
           "artifacts/ in the state folder");
    option("--socket", flags.paths.socket, "PATH",
           "The API's unix socket. Default: nsad.sock in the state folder");
    option("--worker", flags.worker, "PATH", "The nsa-worker that is put on hosts. Default: beside nsad");
    option("--nsa-core", flags.nsa_core, "PATH",
           "The nsa-core of this machine. Default: beside nsad, if built");
    option(
        "--nsa-core-source", flags.nsa_core_source, "DIR",
        "Folder nsa_core/ whose sources are built on hosts without nsa-core. Default: of the installation or "
        "the checkout");
    app.add_option("--backup-every", flags.backup_minutes,
                   "Time between backups of the database (nsa.db.backup), made when it changed. Default: 5")
        ->check(CLI::Range(0.001, 1e6))
        ->option_text("MINUTES");
    option("--backup-to", flags.backup_to, "FILE",
           "Copy the database to this new file, checked, and leave; a daemon may run meanwhile");
    app.add_option("--reserve-mib", flags.reserve_mib,
                   "Disk space kept so that a full disk still records what runs; at most a sixteenth of the "
                   "disk. Default: 64; 0: none")
        ->check(CLI::Range(0, 1 << 20))
        ->option_text("MIB");
    app.add_flag("--foreground", flags.foreground, "Log to stderr too");
}

Result<Config> config_of(const Flags& flags, const Surroundings& around) {
    const auto absolute = [&](const fs::path& path) { return around.working_directory / path; };
    const auto first = [](const std::string& flag, fs::path otherwise) {
        return flag.empty() ? std::move(otherwise) : fs::path(flag);
    };
    const Siblings siblings = find_siblings(around.program);
    Config config;
    Result<api::StatePaths> paths =
        api::state_paths(flags.paths, around.getenv, around.artifacts_here, around.working_directory);
    if (!paths) return paths.error();
    config.state_dir = std::move(paths->state_dir);
    config.artifacts_dir = std::move(paths->artifacts_dir);
    config.socket = std::move(paths->socket);
    config.worker = first(flags.worker, siblings.worker);
    if (config.worker.empty())
        return fail(ErrorCode::kUsage, "there is no nsa-worker beside nsad; give --worker", "worker");
    config.worker = absolute(config.worker);
    config.nsa_core = first(flags.nsa_core, siblings.nsa_core);
    if (!config.nsa_core.empty()) config.nsa_core = absolute(config.nsa_core);
    config.nsa_core_source = first(flags.nsa_core_source, siblings.nsa_core_source);
    if (!config.nsa_core_source.empty()) config.nsa_core_source = absolute(config.nsa_core_source);
    config.log_to_stderr = flags.foreground;
    config.backup_every = std::chrono::milliseconds(static_cast<std::int64_t>(flags.backup_minutes * 60'000));
    config.reserve_bytes = flags.reserve_mib << 20;
    return config;
}

}  // namespace

Result<Options> read_options(int argc, const char* const* argv, const Surroundings& surroundings) {
    CLI::App app{"nsad: accepts experiments, runs them on instances, keeps their results.", "nsad"};
    Flags flags;
    declare(app, flags);
    Options options;
    try {
        app.parse(argc, argv);
    } catch (const CLI::Success& help) {
        app.exit(help, std::cout, std::cerr);
        options.help_or_version = true;
        return options;
    } catch (const CLI::ParseError& error) {
        return fail(ErrorCode::kUsage, std::string(error.what()) + "; see nsad --help", "command line");
    }
    Result<Config> config = config_of(flags, surroundings);
    if (!config) return config.error();
    options.config = std::move(*config);
    if (!flags.backup_to.empty()) options.copy_to = surroundings.working_directory / flags.backup_to;
    return options;
}

}  // namespace nsa::daemon
