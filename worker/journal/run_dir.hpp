// Names inside the worker's home and inside a run directory: the layout of docs/protocol.md.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "protocol/messages.hpp"

namespace nsa::journal {

inline constexpr std::string_view kRunsFolder = "runs";  // home/runs/<run>.<attempt>/

inline constexpr const char* kSpecFile = "spec.yaml";
inline constexpr const char* kPlanFile = "plan.json";
inline constexpr const char* kToolsFile = "tools.json";
inline constexpr const char* kJournalFile = "journal.jsonl";
inline constexpr const char* kManifestFile = "manifest.json";
inline constexpr const char* kExitFile = "exit.json";
inline constexpr const char* kCancelFile = "cancel";             // its presence asks the supervisor to stop
inline constexpr const char* kLockFile = "supervisor.lock";      // held while the supervisor lives
inline constexpr const char* kLaunchLock = "launch.lock";        // held while a launch is under way
inline constexpr const char* kSupervisorLog = "supervisor.log";  // stderr of the supervisor
inline constexpr const char* kReserveFile = "reserve";           // space for the last records of a full disk
inline constexpr const char* kStepsFolder = "steps";
inline constexpr const char* kSetupFolder = "setup";  // setup/<index>/{stdout,stderr}; cwd of the commands
inline constexpr const char* kStdout = "stdout";
inline constexpr const char* kStderr = "stderr";
inline constexpr const char* kResults = "results.jsonl";

// "r-0123456789abc.2", and back; nothing for a name that is no run directory's.
std::string folder_of(const protocol::RunKey& run);
std::optional<protocol::RunKey> run_of_folder(std::string_view folder);

// What every process of a run carries in its environment: "NSA_RUN_DIR=<absolute path>".
inline constexpr std::string_view kRunDirVariable = "NSA_RUN_DIR";

}  // namespace nsa::journal
