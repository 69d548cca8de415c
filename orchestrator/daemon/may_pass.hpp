#pragma once

#include "language/result.hpp"

namespace nsa::daemon {

// Another program has the database locked, or the disk is full: what failed is worth trying again later.
inline bool may_pass(const Error& error) {
    return error.code == ErrorCode::kTimeout || error.code == ErrorCode::kNoSpace;
}

}  // namespace nsa::daemon
