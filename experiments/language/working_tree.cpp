#include "language/working_tree.hpp"

#include "language/spec.hpp"

namespace nsa::language {

namespace {

// Twelve digits tell the commits of any repository apart.
std::string short_id(const std::string& id) {
    return id.substr(0, 12);
}

std::string files(int n) {
    return std::to_string(n) + (n == 1 ? " file" : " files");
}

}  // namespace

std::string describe(const WorkingTree& tree) {
    const std::string at = "at " + short_id(tree.commit);
    if (tree.edited == 0) return at + ", no uncommitted edits";
    return at + " with uncommitted edits in " + files(tree.edited) + " (tree " + short_id(tree.tree) + ")";
}

Result<void> check_working_tree(const Code& code, const std::optional<WorkingTree>& found) {
    if (!code.dirty) return {};
    const std::string where = "code.repo " + code.repo;
    if (!found) {
        return fail(
            ErrorCode::kInvalidSpec,
            "code.dirty is set, but nobody looked at the working tree; submit with nsactl where it is",
            where);
    }
    if (!code.commit.empty() && !found->commit.starts_with(code.commit)) {
        return fail(ErrorCode::kInvalidSpec,
                    "commit " + short_id(found->commit) + " is checked out, the spec says " + code.commit,
                    where);
    }
    if (*code.dirty == Dirty::kForbid && found->edited > 0) {
        return fail(
            ErrorCode::kInvalidSpec,
            files(found->edited) +
                " with uncommitted edits, which the spec forbids; commit them, or write dirty: record",
            where);
    }
    return {};
}

}  // namespace nsa::language
