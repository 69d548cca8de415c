#include "cli/dispatch.hpp"

#include "language/verdict.hpp"

namespace nsa::cli {
namespace {

// With a daemon: its run. Without: this process does the daemon's work until the run is done.
int run_anywhere(const RunArgs& args, const api::StatePaths& paths, const Console& console,
                 const Parts& parts, Output output) {
    auto submission = prepare_submission(console, args.spec);
    if (!submission) return language::exit_code::kUsage;
    if (parts.daemon_listens(paths))
        return run(parts.connect(paths)->control(), console, args, std::move(*submission), false, output);
    auto own = parts.become_daemon(paths);
    if (!own) return console.complain(own.error());
    return run((*own)->control(), console, args, std::move(*submission), true, output);
}

}  // namespace

int dispatch(const Invocation& invocation, const api::StatePaths& paths, const Console& console,
             const Parts& parts) {
    const Output output = invocation.output;
    if (const auto* args = std::get_if<ValidateArgs>(&invocation.command))
        return validate(console, *args, output);
    if (const auto* args = std::get_if<PlanArgs>(&invocation.command)) return plan(console, *args, output);
    if (std::holds_alternative<SchemaArgs>(invocation.command)) return schema(console);
    if (const auto* args = std::get_if<RunArgs>(&invocation.command))
        return run_anywhere(*args, paths, console, parts, output);

    const std::unique_ptr<Backend> backend = parts.connect(paths);
    Control& control = backend->control();
    const auto call = [&]<class Args>(const Args& args) -> int {
        if constexpr (std::is_same_v<Args, SubmitArgs>) return submit(control, console, args, output);
        if constexpr (std::is_same_v<Args, PsArgs>) return ps(control, console, args, output);
        if constexpr (std::is_same_v<Args, StatusArgs>) return status(control, console, args, output);
        if constexpr (std::is_same_v<Args, LogsArgs>) return logs(control, console, args);
        if constexpr (std::is_same_v<Args, CancelArgs>) return cancel(control, console, args, output);
        if constexpr (std::is_same_v<Args, ReportArgs>) return report(control, console, args, output);
        if constexpr (std::is_same_v<Args, ArtifactsArgs>) return artifacts(control, console, args, output);
        if constexpr (std::is_same_v<Args, PullArgs>) return pull(control, console, args);
        if constexpr (std::is_same_v<Args, InstanceAddArgs>)
            return instance_add(control, console, args, parts.scan_host_key, output);
        if constexpr (std::is_same_v<Args, InstanceListArgs>) return instance_list(control, console, output);
        if constexpr (std::is_same_v<Args, InstanceProbeArgs>)
            return instance_probe(control, console, args, output);
        if constexpr (std::is_same_v<Args, VersionArgs>) return version(control, console, args, output);
        return language::exit_code::kUsage;
    };
    return std::visit(call, invocation.command);
}

}  // namespace nsa::cli
