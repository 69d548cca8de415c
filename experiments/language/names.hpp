// The words of the language's closed lists: one table per enum serves JSON, YAML and messages.
#pragma once

#include <array>
#include <optional>
#include <span>
#include <string_view>

#include "language/check.hpp"
#include "language/event.hpp"
#include "language/run_state.hpp"
#include "language/spec.hpp"
#include "language/verdict.hpp"

namespace nsa::language {

template <class Enum>
struct EnumName {
    Enum value;
    std::string_view name;
};

// Specialised below for every enum that has words.
template <class Enum>
inline constexpr std::array<EnumName<Enum>, 0> kEnumNames{};

template <>
inline constexpr std::array kEnumNames<Op>{
    EnumName<Op>{Op::kLess, "<"}, EnumName<Op>{Op::kLessEqual, "<="}, EnumName<Op>{Op::kGreater, ">"},
    EnumName<Op>{Op::kGreaterEqual, ">="}, EnumName<Op>{Op::kEqual, "=="}};

template <>
inline constexpr std::array kEnumNames<Aggregate>{
    EnumName<Aggregate>{Aggregate::kMedian, "median"}, EnumName<Aggregate>{Aggregate::kMin, "min"},
    EnumName<Aggregate>{Aggregate::kMax, "max"},       EnumName<Aggregate>{Aggregate::kLast, "last"},
    EnumName<Aggregate>{Aggregate::kMean, "mean"},     EnumName<Aggregate>{Aggregate::kEach, "each"}};

template <>
inline constexpr std::array kEnumNames<Direction>{EnumName<Direction>{Direction::kDecreasing, "decreasing"},
                                                  EnumName<Direction>{Direction::kIncreasing, "increasing"}};

template <>
inline constexpr std::array kEnumNames<Level>{EnumName<Level>{Level::kGate, "gate"},
                                              EnumName<Level>{Level::kWarn, "warn"},
                                              EnumName<Level>{Level::kInfo, "info"}};

template <>
inline constexpr std::array kEnumNames<Verdict>{EnumName<Verdict>{Verdict::kPass, "PASS"},
                                                EnumName<Verdict>{Verdict::kFail, "FAIL"},
                                                EnumName<Verdict>{Verdict::kXfail, "XFAIL"},
                                                EnumName<Verdict>{Verdict::kXpass, "XPASS"},
                                                EnumName<Verdict>{Verdict::kSkip, "SKIP"},
                                                EnumName<Verdict>{Verdict::kError, "ERROR"},
                                                EnumName<Verdict>{Verdict::kTimeout, "TIMEOUT"},
                                                EnumName<Verdict>{Verdict::kNoReference, "NO_REFERENCE"},
                                                EnumName<Verdict>{Verdict::kInconclusive, "INCONCLUSIVE"},
                                                EnumName<Verdict>{Verdict::kBlocked, "BLOCKED"},
                                                EnumName<Verdict>{Verdict::kCancelled, "CANCELLED"}};

template <>
inline constexpr std::array kEnumNames<Status>{
    EnumName<Status>{Status::kPass, "PASS"},
    EnumName<Status>{Status::kPartialPass, "PARTIAL PASS"},
    EnumName<Status>{Status::kFail, "FAIL"},
    EnumName<Status>{Status::kInfrastructure, "NO VERDICT (infrastructure)"},
    EnumName<Status>{Status::kNothingRan, "NO VERDICT (nothing ran)"},
    EnumName<Status>{Status::kInconclusive, "NO VERDICT (inconclusive)"},
    EnumName<Status>{Status::kCancelled, "NO VERDICT (cancelled)"}};

template <>
inline constexpr std::array kEnumNames<RunState>{EnumName<RunState>{RunState::kQueued, "QUEUED"},
                                                 EnumName<RunState>{RunState::kProvisioning, "PROVISIONING"},
                                                 EnumName<RunState>{RunState::kStaging, "STAGING"},
                                                 EnumName<RunState>{RunState::kSetup, "SETUP"},
                                                 EnumName<RunState>{RunState::kRunning, "RUNNING"},
                                                 EnumName<RunState>{RunState::kCollecting, "COLLECTING"},
                                                 EnumName<RunState>{RunState::kLost, "LOST"},
                                                 EnumName<RunState>{RunState::kDone, "DONE"}};

template <>
inline constexpr std::array kEnumNames<Reason>{
    EnumName<Reason>{Reason::kNone, "none"},
    EnumName<Reason>{Reason::kCompleted, "completed"},
    EnumName<Reason>{Reason::kCancelledByUser, "cancelled_by_user"},
    EnumName<Reason>{Reason::kQueueTimeout, "queue_timeout"},
    EnumName<Reason>{Reason::kProvisionTimeout, "provision_timeout"},
    EnumName<Reason>{Reason::kInstanceMissing, "instance_missing"},
    EnumName<Reason>{Reason::kTargetUnmet, "target_unmet"},
    EnumName<Reason>{Reason::kHostKeyRefused, "host_key_refused"},
    EnumName<Reason>{Reason::kAuthRefused, "auth_refused"},
    EnumName<Reason>{Reason::kHostUnreachable, "host_unreachable"},
    EnumName<Reason>{Reason::kDeployFailed, "deploy_failed"},
    EnumName<Reason>{Reason::kSetupFailed, "setup_failed"},
    EnumName<Reason>{Reason::kHostDiskFull, "host_disk_full"},
    EnumName<Reason>{Reason::kWorkerDied, "worker_died"},
    EnumName<Reason>{Reason::kHostRebooted, "host_rebooted"},
    EnumName<Reason>{Reason::kPullTimeout, "pull_timeout"},
    EnumName<Reason>{Reason::kPullFailed, "pull_failed"},
    EnumName<Reason>{Reason::kInternal, "internal"}};

template <>
inline constexpr std::array kEnumNames<EndKind>{EnumName<EndKind>{EndKind::kExited, "exited"},
                                                EnumName<EndKind>{EndKind::kSignalled, "signalled"},
                                                EnumName<EndKind>{EndKind::kTimedOut, "timed_out"},
                                                EnumName<EndKind>{EndKind::kSilent, "silent"},
                                                EnumName<EndKind>{EndKind::kCancelled, "cancelled"},
                                                EnumName<EndKind>{EndKind::kNotStarted, "not_started"}};

template <>
inline constexpr std::array kEnumNames<RunEnd>{
    EnumName<RunEnd>{RunEnd::kCompleted, "completed"}, EnumName<RunEnd>{RunEnd::kSetupFailed, "setup_failed"},
    EnumName<RunEnd>{RunEnd::kCancelled, "cancelled"}, EnumName<RunEnd>{RunEnd::kDiskFull, "disk_full"},
    EnumName<RunEnd>{RunEnd::kWorkerError, "worker_error"}};

template <>
inline constexpr std::array kEnumNames<FailureClass>{
    EnumName<FailureClass>{FailureClass::kInfra, "infra"},
    EnumName<FailureClass>{FailureClass::kNoCapacity, "no_capacity"},
    EnumName<FailureClass>{FailureClass::kInterruption, "interruption"}};

template <>
inline constexpr std::array kEnumNames<EngineKind>{EnumName<EngineKind>{EngineKind::kLocal, "local"},
                                                   EnumName<EngineKind>{EngineKind::kSsh, "ssh"},
                                                   EnumName<EngineKind>{EngineKind::kSlurm, "slurm"}};

template <>
inline constexpr std::array kEnumNames<Dirty>{EnumName<Dirty>{Dirty::kForbid, "forbid"},
                                              EnumName<Dirty>{Dirty::kRecord, "record"}};

template <>
inline constexpr std::array kEnumNames<ParserKind>{
    EnumName<ParserKind>{ParserKind::kCsv, "csv"}, EnumName<ParserKind>{ParserKind::kJunit, "junit"},
    EnumName<ParserKind>{ParserKind::kJsonLines, "jsonl"}, EnumName<ParserKind>{ParserKind::kRegex, "regex"}};

// The word of a value; "?" for a value outside its enum, which only a bug can make.
template <class Enum>
constexpr std::string_view name_of(Enum value) {
    for (const EnumName<Enum>& entry : kEnumNames<Enum>) {
        if (entry.value == value) return entry.name;
    }
    return "?";
}

template <class Enum>
constexpr std::optional<Enum> value_named(std::string_view name) {
    for (const EnumName<Enum>& entry : kEnumNames<Enum>) {
        if (entry.name == name) return entry.value;
    }
    return std::nullopt;
}

}  // namespace nsa::language
