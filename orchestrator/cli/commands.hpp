// The verbs. Each writes to the console and returns its exit code.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "cli/console.hpp"
#include "cli/control.hpp"
#include "cli/invocation.hpp"
#include "language/result.hpp"
#include "language/working_tree.hpp"

namespace nsa::cli {

// Without a service.
int validate(const Console& console, const ValidateArgs& args, Output output);
int plan(const Console& console, const PlanArgs& args, Output output);
int schema(const Console& console);

// The text of an experiment file; "-": standard input. kNotFound, kUsage.
Result<std::string> read_spec_file(const Console& console, const std::string& file);

// What is handed in: the text of the spec, and the working tree that its code.dirty asks for.
struct Submission {
    std::string yaml;
    std::optional<language::WorkingTree> working_tree;
};
// Read, validated, looked at; nothing when something is wrong, and complained.
std::optional<Submission> prepare_submission(const Console& console, const std::string& file);

// `in_process`: the daemon's work is done by this program, so it must stay until the run is done.
int submit(Control& control, const Console& console, const SubmitArgs& args, Output output);
int run(Control& control, const Console& console, const RunArgs& args, Submission submission, bool in_process,
        Output output);
int ps(Control& control, const Console& console, const PsArgs& args, Output output);
int status(Control& control, const Console& console, const StatusArgs& args, Output output);
int cancel(Control& control, const Console& console, const CancelArgs& args, Output output);
int logs(Control& control, const Console& console, const LogsArgs& args);
int report(Control& control, const Console& console, const ReportArgs& args, Output output);
int artifacts(Control& control, const Console& console, const ArtifactsArgs& args, Output output);
int pull(Control& control, const Console& console, const PullArgs& args);
int instance_list(Control& control, const Console& console, Output output);
int instance_probe(Control& control, const Console& console, const InstanceProbeArgs& args, Output output);
int version(Control& control, const Console& console, const VersionArgs& args, Output output);

// "ssh-ed25519 AAAA..." as the host shows it, unauthenticated.
using ScanHostKey = std::function<Result<std::string>(const std::string& host, int port)>;
int instance_add(Control& control, const Console& console, const InstanceAddArgs& args,
                 const ScanHostKey& scan, Output output);

// The run that the user means: an id, its unique start, or "last". kNotFound, kUsage when several fit.
Result<RunId> find_run(Control& control, const std::string& text);

// JSON of the value on out, pretty-printed.
void print_json(const Console& console, std::string_view json);

}  // namespace nsa::cli
