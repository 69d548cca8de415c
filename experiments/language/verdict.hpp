// Verdict algebra: case verdicts, report status, exit codes. Pure; every row is tested.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace nsa::language {

enum class Verdict {
    kPass,
    kFail,
    kXfail,         // failed as a waiver with owner, reason and unexpired date foretold
    kXpass,         // a waived case that passed: somebody must look
    kSkip,          // not applicable here, with the reason
    kError,         // crashed, produced nothing, or silently did something else
    kTimeout,       // hit its limit, whatever the exit code
    kNoReference,   // a check without anything to compare with
    kInconclusive,  // too few or too noisy samples to decide
    kBlocked,       // a step it needs did not pass
    kCancelled,     // the operator stopped it
};
std::string_view to_string(Verdict verdict);  // "PASS", "FAIL", "NO_REFERENCE", ...

enum class Level { kGate, kWarn, kInfo };  // only gates decide the status
std::string_view to_string(Level level);

// The headline of a report.
enum class Status {
    kPass,
    kPartialPass,
    kFail,
    kInfrastructure,  // no verdict: the system, not the subject, failed
    kNothingRan,      // no gate gave a sample
    kInconclusive,
    kCancelled,
};
std::string_view to_string(
    Status status);  // "PASS", "PARTIAL PASS", "FAIL", "NO VERDICT (infrastructure)", ...

struct GateOutcome {
    Verdict verdict = Verdict::kError;
    bool short_of_asked =
        false;  // passed on fewer samples or steps than asked: caps the status at PARTIAL PASS
    bool infrastructure = false;  // an ERROR that the host, link or deploy caused
};

// FAIL if any gate is FAIL, XPASS or TIMEOUT; else, when no gate is PASS, no verdict: infrastructure if that
// stopped a gate, inconclusive if something was measured (INCONCLUSIVE, NO_REFERENCE, XFAIL), nothing ran
// otherwise; else PARTIAL PASS if any gate is not PASS/XFAIL or fell short; else PASS. A cancelled run with
// no failed gate is kCancelled.
Status status_of(const std::vector<GateOutcome>& gates, bool run_cancelled);

// 0 PASS; 1 FAIL; 2 usage or invalid spec; 3 PARTIAL PASS; 4 infrastructure; 5 nothing ran; 6 inconclusive;
// 7 cancelled; 8 not finished; 9 not found; 124 wait expired; 130 interrupted.
namespace exit_code {
inline constexpr int kUsage = 2;
inline constexpr int kInfrastructure = 4;
inline constexpr int kNotFinished = 8;
inline constexpr int kNotFound = 9;
inline constexpr int kWaitExpired = 124;
inline constexpr int kInterrupted = 130;
}  // namespace exit_code
int exit_code_of(Status status);

}  // namespace nsa::language
