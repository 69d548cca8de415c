// code.dirty: what nsactl finds in a git working tree, and what it refuses before anything is submitted.
#include <cstdlib>

#include "cli/look_at_tree.hpp"
#include "cli_fixture.hpp"

namespace nsa::test {
namespace {

using cli::Output;
using language::WorkingTree;

class WorkingTrees : public CliTest {
  protected:
    void SetUp() override {
        git("init --quiet --initial-branch=main");
        write("kernel.cu", "one\n");
        commit();
    }
    void git(const std::string& words) const {
        const std::string command =
            "git -C '" + folder.path().string() + "' -c user.name=n -c user.email=e@e " + words;
        ASSERT_EQ(std::system(command.c_str()), 0) << command;
    }
    void commit() const {
        git("add --all");
        git("commit --quiet --message=edit");
    }
    WorkingTree look() const {
        const Result<WorkingTree> tree = cli::look_at_tree(folder.path());
        EXPECT_TRUE(tree) << tree.error().describe();
        return tree ? *tree : WorkingTree{};
    }
    // Written beside the repository's files and ignored there.
    std::string spec(const std::string& code) const {
        write(".git/info/exclude", "*.yaml\n");
        return write("spec.yaml",
                     "version: 1\nname: smoke\ncode: " + code + "\nsteps: [{id: a, run: ['true']}]\n");
    }
};

TEST_F(WorkingTrees, without_edits_are_their_commit) {
    const WorkingTree tree = look();
    EXPECT_EQ(tree.commit.size(), 40U);
    EXPECT_EQ(tree.edited, 0);
    EXPECT_EQ(language::describe(tree), "at " + tree.commit.substr(0, 12) + ", no uncommitted edits");
}

TEST_F(WorkingTrees, with_edits_have_the_tree_that_their_commit_would_have) {
    write("kernel.cu", "two\n");
    write("new file.cu", "three\n");
    const WorkingTree edited = look();
    EXPECT_EQ(edited.edited, 2);
    EXPECT_EQ(language::describe(edited), "at " + edited.commit.substr(0, 12) +
                                              " with uncommitted edits in 2 files (tree " +
                                              edited.tree.substr(0, 12) + ")");
    git("diff --cached --quiet");  // looking staged nothing
    commit();
    EXPECT_EQ(look().edited, 0);
    EXPECT_EQ(look().tree, edited.tree);
    EXPECT_NE(look().commit, edited.commit);
}

TEST_F(WorkingTrees, are_looked_at_without_a_write_to_their_index) {
    // The same bytes at another time: git status notes that in the index, if it may.
    const std::filesystem::path kernel = folder / "kernel.cu", index = folder / ".git/index";
    std::filesystem::last_write_time(kernel,
                                     std::filesystem::last_write_time(kernel) + std::chrono::seconds(10));
    const std::string before = read_file(index);
    EXPECT_EQ(look().edited, 0);
    EXPECT_EQ(read_file(index), before);
}

TEST_F(WorkingTrees, are_those_of_their_folder_also_when_a_git_hook_looks) {
    const WorkingTree alone = look();
    ::setenv("GIT_DIR", "/nowhere", 1);
    ::setenv("GIT_INDEX_FILE", "/nowhere/index", 1);
    const WorkingTree within_a_hook = look();
    ::unsetenv("GIT_DIR");
    ::unsetenv("GIT_INDEX_FILE");
    EXPECT_EQ(within_a_hook, alone);
}

TEST_F(WorkingTrees, are_handed_in_with_the_run_that_records_them) {
    write("kernel.cu", "two\n");
    know(done(language::Status::kPass));
    EXPECT_EQ(cli::submit(control, console(), {spec("{repo: ., dirty: record}"), "", "", false, {}},
                          Output::kTable),
              0)
        << err.str();
    ASSERT_EQ(service.submissions.size(), 1U);
    EXPECT_EQ(service.submissions.front().working_tree, look());
}

TEST_F(WorkingTrees, with_edits_that_the_spec_forbids_are_refused_before_the_submission) {
    const std::string file = spec("{repo: ., dirty: forbid}");
    EXPECT_EQ(cli::plan(console(), {file, ""}, Output::kTable), 0) << err.str();
    EXPECT_NE(out.str().find("  code        . at "), std::string::npos) << out.str();
    write("kernel.cu", "two\n");
    EXPECT_EQ(cli::submit(control, console(), {file, "", "", false, {}}, Output::kTable), 2);
    EXPECT_EQ(err.str(),
              file +
                  ": code.repo .: 1 file with uncommitted edits, which the spec forbids; commit them, or "
                  "write dirty: record\n");
    EXPECT_TRUE(service.submissions.empty());
}

TEST_F(WorkingTrees, at_another_commit_than_the_spec_says_are_refused) {
    const std::string file = spec("{repo: ., commit: '0123456', dirty: record}");
    EXPECT_EQ(cli::plan(console(), {file, ""}, Output::kTable), 2);
    EXPECT_EQ(err.str(), file + ": code.repo .: commit " + look().commit.substr(0, 12) +
                             " is checked out, the spec says 0123456\n");
}

TEST_F(WorkingTrees, are_looked_at_only_where_the_spec_asks) {
    know(done(language::Status::kPass));
    const std::string file = spec("{repo: 'https://example.org/nsa.git', commit: '0123456'}");
    EXPECT_EQ(cli::submit(control, console(), {file, "", "", false, {}}, Output::kTable), 0) << err.str();
    ASSERT_EQ(service.submissions.size(), 1U);
    EXPECT_FALSE(service.submissions.front().working_tree);
}

TEST_F(WorkingTrees, that_are_none_are_refused_in_the_words_of_git) {
    const TempDir plain;
    const Result<WorkingTree> tree = cli::look_at_tree(plain.path());
    ASSERT_FALSE(tree);
    EXPECT_NE(tree.error().text.find("not a git repository"), std::string::npos) << tree.error().text;
    const std::string file = spec("{repo: missing, dirty: record}");
    EXPECT_EQ(cli::plan(console(), {file, ""}, Output::kTable), 2);
    EXPECT_NE(err.str().find("code.dirty needs a git working tree in code.repo: "), std::string::npos)
        << err.str();
}

}  // namespace
}  // namespace nsa::test
