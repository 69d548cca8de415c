// errno as an Error.
#pragma once

#include <string>

#include "language/result.hpp"

namespace nsa::posix {

// kNoSpace for a full disk or quota, kNotFound, kConflict (exists), kRefused (permission, symlink, not a
// directory), else kInternal. where: what was attempted, "write runs/r-1.1/plan.json".
Error errno_error(int error, std::string where);

}  // namespace nsa::posix
