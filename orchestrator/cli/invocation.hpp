// A command line, understood: one struct per verb. Values only.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "api/state_paths.hpp"

namespace nsa::cli {

enum class Output { kTable, kJson };

struct ValidateArgs {
    std::vector<std::string> specs;  // "-": standard input
};
struct PlanArgs {
    std::string spec, instance;
};
struct SchemaArgs {};
struct SubmitArgs {
    std::string spec, instance, key;
    bool wait = false;
    std::optional<std::int64_t> timeout_ms;  // of the wait
};
struct RunArgs {
    std::string spec, instance;
    std::optional<std::int64_t> timeout_ms;
};
struct PsArgs {
    int limit = 20;
};
struct StatusArgs {
    std::string run;
    bool watch = false;
};
struct LogsArgs {
    std::string run, key;  // empty key: all cases
    bool follow = false, use_stderr = false;
    bool setup = false;  // commands of the set-up instead; key: the number of one
};
struct CancelArgs {
    std::string run;
};
struct ReportArgs {
    std::string run;
    bool print = false;
};
struct ArtifactsArgs {
    std::string run;
};
struct PullArgs {
    std::string run, into;  // empty into: ./<run>
};
struct InstanceAddArgs {
    std::string name, address;  // "root@10.0.0.7:22" or "local"
    std::string key_file, host_key, accept_fingerprint, nsa_core, worker_home, tool_path;
    bool replace = false;
};
struct InstanceListArgs {};
struct InstanceProbeArgs {
    std::string name;
};
struct VersionArgs {
    std::int64_t wait_ms = 0;  // for a daemon that is starting
};

using Command = std::variant<ValidateArgs, PlanArgs, SchemaArgs, SubmitArgs, RunArgs, PsArgs, StatusArgs,
                             LogsArgs, CancelArgs, ReportArgs, ArtifactsArgs, PullArgs, InstanceAddArgs,
                             InstanceListArgs, InstanceProbeArgs, VersionArgs>;

struct Invocation {
    Command command;
    Output output = Output::kTable;
    api::PathFlags paths;
};

}  // namespace nsa::cli
