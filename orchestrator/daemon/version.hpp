// Of the build.
#pragma once

namespace nsa::daemon {

extern const char* const kVersion;  // "0.1.0"
extern const char* const kCommit;   // short hash at configure time; "unknown" outside a checkout

}  // namespace nsa::daemon
