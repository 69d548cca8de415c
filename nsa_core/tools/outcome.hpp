// How a subcommand of nsa-core ends. Each end has an exit code that the worker and scripts rely on.
#pragma once

#include <string>
#include <variant>

namespace nsa::core::tools {

struct Done {};
// The host lacks what the case needs (a GPU, a dtype it supports): neither good nor bad, and never silent.
struct Skipped {
    std::string reason;
};
// The user asked for something that makes no sense; the message names flag, value and what would be right.
struct Refused {
    std::string message;
};
// The measurement itself went wrong, a loss that is not a number, say.
struct Failed {
    std::string message;
};

using Outcome = std::variant<Done, Skipped, Refused, Failed>;

inline constexpr int kExitDone = 0;
inline constexpr int kExitFailed = 1;
inline constexpr int kExitUsage = 2;
inline constexpr int kExitSkipped = 77;  // the number automake and ctest use for "skipped"

}  // namespace nsa::core::tools
