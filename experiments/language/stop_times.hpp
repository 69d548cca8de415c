// How long the worker takes at most to end a program that passed its limit. The worker keeps to these times;
// whoever watches it from outside allows for them.
#pragma once

#include "language/spec.hpp"

namespace nsa::language {

inline constexpr Duration kStopGrace{10'000};     // from SIGTERM to SIGKILL
inline constexpr Duration kKillWait{60'000};      // from SIGKILL to giving up
inline constexpr Duration kLeftoversWait{2'000};  // until what it left behind is gone, too
inline constexpr Duration kLongestStop = kStopGrace + kKillWait + kLeftoversWait;

}  // namespace nsa::language
