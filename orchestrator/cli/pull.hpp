// Copying artifacts out of the store.
#pragma once

#include <filesystem>
#include <string>

#include "api/views.hpp"
#include "language/result.hpp"

namespace nsa::cli {

// Copies stored_at to into/path: hashed on the way, put in place by rename only when the hash holds. An
// existing file of that name is replaced; nothing is ever written outside `into`. kCorrupt, kNotFound,
// kNoSpace, kInternal.
Result<void> pull_file(const api::ArtifactView& artifact, const std::filesystem::path& into);

Result<std::string> read_whole_file(const std::filesystem::path& path);

}  // namespace nsa::cli
