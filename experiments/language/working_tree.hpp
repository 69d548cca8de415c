// The git working tree of the code under test, as it was when its run was submitted, and whether the spec
// allows it (`code.dirty`). Pure; nsactl looks at the tree (cli/look_at_tree.hpp).
#pragma once

#include <optional>
#include <string>

#include "language/result.hpp"

namespace nsa::language {

struct Code;

struct WorkingTree {
    std::string commit;  // that is checked out, in full
    int edited = 0;      // files that differ from it; untracked files count, ignored ones do not
    std::string tree;    // id of git's tree object of all these files: the same files give the same id

    bool operator==(const WorkingTree&) const = default;
};

// kInvalidSpec: the spec asks for a state (`code.dirty`) that the tree does not have, or that nobody looked
// at.
Result<void> check_working_tree(const Code& code, const std::optional<WorkingTree>& found);

// "at 0123456789ab, no uncommitted edits"; "at 0123456789ab with uncommitted edits in 3 files (tree
// 89abcdef0123)"
std::string describe(const WorkingTree& tree);

}  // namespace nsa::language
