#include "journal/journal.hpp"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>

#include "temp_dir.hpp"

namespace nsa::journal {
namespace {

const char* const kFile = "journal.jsonl";

language::EventBody blocked(const std::string& key) {
    return language::CaseBlocked{CaseKey{key}, CaseKey{"x"}};
}

std::string line(std::uint64_t seq, const std::string& key) {
    return language::to_line({seq, 5, blocked(key)});
}

TEST(Journal, NumbersEventsFromOneAndContinuesAfterReopening) {
    const test::TempDir dir;
    for (int round = 0; round < 3; ++round) {
        auto journal = Journal::open(dir.fd()).value();
        EXPECT_EQ(journal.last_seq(), static_cast<std::uint64_t>(2 * round));
        journal.append(blocked("a"), 5);
        journal.append(blocked("b"), 5);
        ASSERT_TRUE(journal.write());
        ASSERT_TRUE(journal.sync());
    }
    EXPECT_EQ(dir.read(kFile),
              line(1, "a") + line(2, "b") + line(3, "a") + line(4, "b") + line(5, "a") + line(6, "b"));
}

TEST(Journal, NothingIsInTheFileBeforeItIsWritten) {
    const test::TempDir dir;
    auto journal = Journal::open(dir.fd()).value();
    journal.append(blocked("a"), 5);
    EXPECT_EQ(dir.read(kFile), "");
}

TEST(Journal, ATornLastLineIsCutWhereverTheWriterDied) {
    const std::string whole = line(1, "a"), torn = line(2, "b");
    for (std::size_t size = 1; size < torn.size(); ++size) {
        const test::TempDir dir;
        dir.write(kFile, whole + torn.substr(0, size));
        auto journal = Journal::open(dir.fd());
        ASSERT_TRUE(journal) << size;
        EXPECT_EQ(journal->last_seq(), 1U);
        EXPECT_EQ(dir.read(kFile), whole);
        journal->append(blocked("b"), 5);
        ASSERT_TRUE(journal->write());
        EXPECT_EQ(dir.read(kFile), whole + torn);
    }
}

TEST(Journal, AWholeLineThatIsNoEventIsCorrupt) {
    const test::TempDir dir;
    dir.write(kFile, line(1, "a") + "garbage\n");
    const auto journal = Journal::open(dir.fd());
    ASSERT_FALSE(journal);
    EXPECT_EQ(journal.error().code, ErrorCode::kCorrupt);
    EXPECT_EQ(dir.read(kFile), line(1, "a") + "garbage\n") << "evidence stays as it is";
}

TEST(Journal, AFailedWriteLeavesWholeLinesAndIsTriedAgain) {
    const test::TempDir dir;
    auto journal = Journal::open(dir.fd()).value();
    journal.append(blocked("a"), 5);
    ASSERT_TRUE(journal.write());
    const std::string before = dir.read(kFile);

    // The kernel takes only part of the next line: what a full disk does, without one.
    ::signal(SIGXFSZ, SIG_IGN);
    rlimit old{};
    ::getrlimit(RLIMIT_FSIZE, &old);
    const rlimit small{before.size() + 10, old.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &small);
    journal.append(blocked("b"), 5);
    const auto failed = journal.write();
    ::setrlimit(RLIMIT_FSIZE, &old);
    ASSERT_FALSE(failed);
    EXPECT_EQ(dir.read(kFile), before);

    journal.append(blocked("c"), 5);
    ASSERT_TRUE(journal.write());
    EXPECT_EQ(dir.read(kFile), line(1, "a") + line(2, "b") + line(3, "c"));
}

TEST(Journal, ALinkInItsPlaceIsNotFollowed) {
    const test::TempDir dir;
    dir.write("target", "");
    std::filesystem::create_symlink(dir.path() / "target", dir.path() / kFile);
    EXPECT_FALSE(Journal::open(dir.fd()));
}

TEST(LineReader, ReturnsWholeLinesWithinTheLimitButAtLeastOne) {
    const test::TempDir dir;
    const std::string text = "short\n" + std::string(300, 'x') + "\nlast\ntorn";
    dir.write(kFile, text);
    LineReader reader{posix::open_regular(dir.fd(), kFile).value()};
    EXPECT_EQ(reader.read(100).value(), "short\n");
    EXPECT_EQ(reader.read(100).value(), std::string(300, 'x') + "\n");
    EXPECT_EQ(reader.read(100).value(), "last\n");
    EXPECT_EQ(reader.read(100).value(), "");
    dir.write(kFile, text + " no more\n");
    EXPECT_EQ(reader.read(100).value(), "torn no more\n");
    reader.unread(9);
    EXPECT_EQ(reader.read(100).value(), " no more\n");
}

TEST(LineReader, AnEndlessLineIsCorruptAndNotHeldInMemory) {
    const test::TempDir dir;
    dir.write(kFile, std::string(kLongestLine + 1, 'x') + "\n");
    LineReader reader{posix::open_regular(dir.fd(), kFile).value()};
    EXPECT_EQ(reader.read(100).error().code, ErrorCode::kCorrupt);
}

TEST(EventName, IsReadFromItsPlaceOnly) {
    EXPECT_EQ(event_name(line(7, "a")), "case_blocked");
    EXPECT_EQ(event_name("{}"), "");
    const language::CaseFinished finished{CaseKey{R"(x","event":"run_finished")"}, {}, 0, 0, 0, 0};
    EXPECT_EQ(event_name(language::to_line({1, 2, finished})), "case_finished");
}

}  // namespace
}  // namespace nsa::journal
