#include "cli/look_at_tree.hpp"

#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <vector>

#include "engines/child.hpp"

namespace nsa::cli {
namespace {

namespace fs = std::filesystem;
using Words = std::vector<std::string>;

// What the child writes, until it has closed both.
struct Said {
    std::string out, err;
};
Said listen(const engines::Child& child) {
    Said said;
    std::array<pollfd, 2> open{pollfd{child.stdio.get(), POLLIN, 0}, pollfd{child.err.get(), POLLIN, 0}};
    std::array<char, 1 << 14> bytes;
    while (open[0].fd >= 0 || open[1].fd >= 0) {
        if (::poll(open.data(), open.size(), -1) < 0 && errno != EINTR) break;
        for (pollfd& one : open) {
            if (one.fd < 0 || one.revents == 0) continue;
            const ssize_t n = ::read(one.fd, bytes.data(), bytes.size());
            if (n > 0)
                (&one == open.data() ? said.out : said.err).append(bytes.data(), static_cast<std::size_t>(n));
            if (n == 0 || (n < 0 && errno != EINTR)) one.fd = -1;
        }
    }
    return said;
}

// git's answer without the newline at its end. By way of env(1), which knows PATH and sets variables. Those
// by which git tells its hooks of a repository would lead to that one.
Result<std::string> git(const fs::path& repo, const Words& variables, const Words& command) {
    Words words{"-u", "GIT_DIR", "-u", "GIT_WORK_TREE", "-u", "GIT_INDEX_FILE"};
    words.insert(words.end(), variables.begin(), variables.end());
    for (const char* word : {"LC_ALL=C", "git", "-C"})
        words.push_back(word);
    words.push_back(repo.string());
    words.insert(words.end(), command.begin(), command.end());
    const Result<engines::Child> child = engines::spawn_child("/usr/bin/env", words);
    if (!child) return child.error();
    Said said = listen(*child);
    int status = 0;
    while (::waitpid(child->pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        const std::string line = said.err.substr(0, said.err.find('\n'));
        return fail(ErrorCode::kUsage, line.empty() ? "git " + command.front() + " failed" : line,
                    repo.string());
    }
    if (said.out.ends_with('\n')) said.out.pop_back();
    return std::move(said.out);
}

// A folder for an index and objects that are not the repository's.
class Scratch {
  public:
    Scratch() {
        std::string name = (fs::temp_directory_path() / "nsactl-tree-XXXXXX").string();
        if (::mkdtemp(name.data()) != nullptr) path = name;
    }
    ~Scratch() {
        std::error_code ignored;
        if (!path.empty()) fs::remove_all(path, ignored);
    }
    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;
    fs::path path;
};

// The tree that a commit of everything here would have.
Result<std::string> tree_of_edits(const fs::path& repo) {
    const Result<std::string> objects =
        git(repo, {}, {"rev-parse", "--path-format=absolute", "--git-path", "objects"});
    if (!objects) return objects.error();
    const Scratch scratch;
    if (scratch.path.empty()) return fail(ErrorCode::kUsage, "no folder for temporary files", repo.string());
    const Words aside{"GIT_INDEX_FILE=" + (scratch.path / "index").string(),
                      "GIT_OBJECT_DIRECTORY=" + scratch.path.string(),
                      "GIT_ALTERNATE_OBJECT_DIRECTORIES=" + *objects};
    const Result<std::string> added = git(repo, aside, {"add", "--all", ":/"});
    if (!added) return added.error();
    return git(repo, aside, {"write-tree"});
}

}  // namespace

Result<language::WorkingTree> look_at_tree(const fs::path& repo) {
    const Result<std::string> commit = git(repo, {}, {"rev-parse", "--verify", "HEAD"});
    if (!commit) return commit.error();
    const Words all_of_it{"status", "--porcelain", "--untracked-files=all", "--ignore-submodules=none", ":/"};
    const Result<std::string> edits = git(repo, {"GIT_OPTIONAL_LOCKS=0"}, all_of_it);
    if (!edits) return edits.error();
    language::WorkingTree tree{*commit, 0, {}};
    if (!edits->empty()) tree.edited = static_cast<int>(1 + std::count(edits->begin(), edits->end(), '\n'));
    Result<std::string> id =
        tree.edited > 0 ? tree_of_edits(repo) : git(repo, {}, {"rev-parse", "--verify", "HEAD^{tree}"});
    if (!id) return id.error();
    tree.tree = std::move(*id);
    return tree;
}

Result<std::optional<language::WorkingTree>> look_at_code(const language::Code& code,
                                                          const std::string& file) {
    std::optional<language::WorkingTree> found;
    if (!code.dirty) return found;
    const fs::path folder = file == "-" ? fs::path{} : fs::path{file}.parent_path();
    Result<language::WorkingTree> tree = look_at_tree(fs::absolute(folder / code.repo).lexically_normal());
    if (!tree) {
        return fail(ErrorCode::kUsage,
                    "code.dirty needs a git working tree in code.repo: " + tree.error().text,
                    tree.error().where);
    }
    found = std::move(*tree);
    const Result<void> allowed = language::check_working_tree(code, found);
    if (!allowed) return allowed.error();
    return found;
}

}  // namespace nsa::cli
