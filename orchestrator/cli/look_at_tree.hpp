// Looks at a git working tree: what is checked out, what was edited. Runs git, writes nothing into the
// repository.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "language/result.hpp"
#include "language/spec.hpp"
#include "language/working_tree.hpp"

namespace nsa::cli {

// kUsage: no such folder, no working tree, no commit yet, or git is not installed; in git's words where it
// has some.
Result<language::WorkingTree> look_at_tree(const std::filesystem::path& repo);

// The tree of the spec in `file` ("-": the current folder), where its code.dirty asks for one; checked
// against it.
Result<std::optional<language::WorkingTree>> look_at_code(const language::Code& code,
                                                          const std::string& file);

}  // namespace nsa::cli
