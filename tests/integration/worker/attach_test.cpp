// Following a run: live, again after a cut, and with a client that does not read.
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>

#include <algorithm>
#include <fstream>

#include "worker_process.hpp"

namespace nsa::test {
namespace {

using protocol::Frame;
using protocol::FrameType;
using protocol::RemoteState;

class AttachTest : public ::testing::Test {
  protected:
    void launch(WorkerProcess& worker, std::vector<language::PlannedCase> cases) {
        worker.ask<protocol::LaunchReply>(FrameType::kLaunch,
                                          encode(launch_of(kRun, plan_of(std::move(cases)))));
    }
    protocol::Attach attach(std::uint64_t credit = 1U << 20) const {
        protocol::Attach request;
        request.run = kRun;
        request.credit = credit;
        return request;
    }

    const protocol::RunKey kRun = run_key("r-attach");
    TempDir dir_;
    WorkerProcess worker_{dir_.path()};
};

// The step writes its next line only once the last one was seen: nothing is held back until more comes.
TEST_F(AttachTest, ALineArrivesWhileItsStepWaitsForItsReader) {
    const std::string seen = (dir_.path() / "seen").string();
    launch(worker_, {shell_case("live", "for i in 1 2 3 4 5; do echo line $i; until [ -e '" + seen +
                                            "'$i ]; do sleep 0.01; done; done")});
    std::string log;
    const auto id = worker_.send(FrameType::kAttach, encode(attach()));
    worker_.answer(id, [&](const Frame& frame) {
        if (frame.type != FrameType::kLog) return;
        log += protocol::decode_log(frame.payload).value().bytes;
        std::ofstream{seen + std::to_string(std::count(log.begin(), log.end(), '\n'))};
    });
    EXPECT_EQ(log, "line 1\nline 2\nline 3\nline 4\nline 5\n");
}

TEST_F(AttachTest, KillingServeLeavesTheRunAliveAndTheNextAttachContinuesByteForByte) {
    launch(worker_, {shell_case("one", "for i in $(seq 400); do echo line $i; sleep 0.002; done"),
                     shell_case("two", "echo second; echo more >&2")});
    // Part of the stream, then serve dies in the middle of it.
    Followed before;
    const auto id = worker_.send(FrameType::kAttach, encode(attach()));
    while (before.logs["steps/one/stdout"].size() < 500) {
        const Frame frame = worker_.next();
        if (frame.request != id) continue;
        if (frame.type == FrameType::kEvents) before.journal += frame.payload;
        if (frame.type == FrameType::kLog) {
            const auto piece = protocol::decode_log(frame.payload).value();
            before.logs[std::string{piece.path}] += piece.bytes;
        }
    }
    worker_.kill_hard();

    WorkerProcess again{dir_.path()};
    protocol::Attach request = attach();
    request.from_seq = before.events().size() + 1;
    for (const auto& [path, bytes] : before.logs)
        request.log_offsets[path] = bytes.size();
    const Followed after = follow(again, request);
    EXPECT_EQ(after.end.state, RemoteState::kFinished);
    const auto run_dir = dir_.path() / "runs/r-attach.1";
    EXPECT_EQ(before.journal + after.journal, read_text(run_dir / "journal.jsonl"));
    for (const auto& [path, bytes] : after.logs) {
        const std::string first = before.logs.contains(path) ? before.logs.at(path) : "";
        EXPECT_EQ(first + bytes, read_text(run_dir / path)) << path;
    }
    EXPECT_EQ(after.logs.at("steps/two/stderr"), "more\n");
}

TEST_F(AttachTest, AFinishedRunIsReplayedFromAnySequenceNumber) {
    launch(worker_, {shell_case("a", "echo a"), shell_case("b", "echo b")});
    const Followed whole = follow(worker_, attach());
    const auto events = whole.events();
    for (std::uint64_t from = 1; from <= events.size() + 2; ++from) {
        auto request = attach();
        request.from_seq = from;
        const Followed part = follow(worker_, request);
        EXPECT_EQ(part.events(), std::vector<language::Event>(
                                     events.begin() + static_cast<std::ptrdiff_t>(
                                                          std::min<std::uint64_t>(from - 1, events.size())),
                                     events.end()));
        EXPECT_EQ(part.logs, whole.logs);
        EXPECT_EQ(part.end.last_seq, events.size());
    }
}

TEST_F(AttachTest, NeverMoreUnacknowledgedBytesThanTheCredit) {
    launch(worker_, {shell_case("big", "head -c 3000000 /dev/zero")});
    constexpr std::uint64_t kCredit = 20'000;
    std::uint64_t outstanding = 0, most = 0, total = 0;
    std::vector<std::uint64_t> unpaid;
    const auto id = worker_.send(FrameType::kAttach, encode(attach(kCredit)));
    const Frame end = worker_.answer(id, [&](const Frame& frame) {
        outstanding += frame.payload.size();
        most = std::max(most, outstanding);
        if (frame.type == FrameType::kLog) total += protocol::decode_log(frame.payload).value().bytes.size();
        worker_.send_as(id, FrameType::kCredit, protocol::encode_credit(outstanding));
        outstanding = 0;
    });
    EXPECT_EQ(WorkerProcess::read_reply<protocol::AttachEnd>(end).state, RemoteState::kFinished);
    EXPECT_EQ(total, 3'000'000U);
    EXPECT_LE(most, kCredit);
    EXPECT_GT(most, kCredit / 2);
}

TEST_F(AttachTest, AClientWithoutCreditOrThatDoesNotReadHoldsNothingUp) {
    launch(worker_, {shell_case("big", "head -c 50000000 /dev/zero"), shell_case("next", "true")});
    const auto starved = worker_.send(FrameType::kAttach, encode(attach(0)));
    // A second client takes all credit and never reads: its pipe and the worker's buffer fill, the run goes
    // on.
    WorkerProcess deaf{dir_.path()};
    deaf.send(FrameType::kAttach, encode(attach(~0ULL)));
    eventually([&] { return std::filesystem::exists(dir_.path() / "runs/r-attach.1/exit.json"); },
               "the run ends");
    // The starved one still answers other requests, and ends when it is told to.
    EXPECT_EQ(worker_.answer(worker_.send(FrameType::kPing, "{}")).payload, "{}");
    worker_.send_as(starved, FrameType::kDetach, "{}");
    EXPECT_EQ(WorkerProcess::read_reply<protocol::AttachEnd>(worker_.answer(starved)).state,
              RemoteState::kRunning);
    EXPECT_LT(peak_rss_kib(deaf.pid()), kBoundedKib);
}

TEST_F(AttachTest, DetachEndsItWhileTheRunGoesOn) {
    launch(worker_, {shell_case("long", "echo up; sleep 300")});
    const auto id = worker_.send(FrameType::kAttach, encode(attach()));
    while (worker_.next().type != FrameType::kLog) {
    }
    worker_.send_as(id, FrameType::kDetach, "{}");
    const auto end = WorkerProcess::read_reply<protocol::AttachEnd>(worker_.answer(id));
    EXPECT_EQ(end.state, RemoteState::kRunning);
    EXPECT_GE(end.last_seq, 3U);
    worker_.ask<protocol::CancelReply>(FrameType::kCancel, encode(kRun));
    EXPECT_EQ(follow(worker_, attach()).all<language::RunFinished>().at(0).end, language::RunEnd::kCancelled);
}

TEST_F(AttachTest, UnknownRunIsAStateNotAnError) {
    EXPECT_EQ(follow(worker_, attach()).end.state, RemoteState::kUnknownRun);
    EXPECT_EQ(worker_.ask<protocol::CancelReply>(FrameType::kCancel, encode(kRun)).state,
              RemoteState::kUnknownRun);
}

TEST_F(AttachTest, EndOfStdinEndsServeAndNotTheRun) {
    launch(worker_, {shell_case("long", "echo up; sleep 0.3; echo end")});
    worker_.send(FrameType::kAttach, encode(attach()));
    worker_.close_stdin();
    EXPECT_EQ(worker_.wait(), 0);
    WorkerProcess again{dir_.path()};
    EXPECT_EQ(follow(again, attach()).logs.at("steps/long/stdout"), "up\nend\n");
}

TEST_F(AttachTest, AClientThatSaysNothingIsTakenForGoneAndItsRunGoesOn) {
    // Not by the one that is deserted: a launch on a slow disk is a long silence.
    launch(worker_, {shell_case("long", "sleep 3; echo end")});
    WorkerProcess deserted{dir_.path(), {.client_silence_ms = 2000}};
    // Whatever it still sends counts.
    const auto talks_until = std::chrono::steady_clock::now() + std::chrono::milliseconds{2500};
    while (std::chrono::steady_clock::now() < talks_until)
        EXPECT_EQ(deserted.answer(deserted.send(FrameType::kPing, "{}")).payload, "{}");
    deserted.send(FrameType::kAttach, encode(attach(0)));
    EXPECT_EQ(deserted.wait(), 1);
    EXPECT_EQ(follow(worker_, attach()).logs.at("steps/long/stdout"), "end\n");
}

TEST_F(AttachTest, AFloodOfOneLogDoesNotHoldBackTheOther) {
    launch(worker_, {shell_case("loud",
                                "while :; do echo flood flood flood flood; done & "
                                "sleep 0.2; echo here >&2; sleep 60")});
    const auto id = worker_.send(FrameType::kAttach, encode(attach()));
    std::uint64_t flood = 0;
    std::string said;
    while (said.empty()) {
        const Frame frame = worker_.next();
        if (frame.request != id || frame.type != FrameType::kLog) continue;
        const auto piece = protocol::decode_log(frame.payload).value();
        if (piece.path == "steps/loud/stderr") said += piece.bytes;
        if (piece.path == "steps/loud/stdout") flood += piece.bytes.size();
        ASSERT_LT(flood, 200'000'000U) << "and not a byte of stderr";
        // As slow as a thin link: what has been written since is always more than what may be sent.
        worker_.send_as(id, FrameType::kCredit, protocol::encode_credit(1000));
    }
    EXPECT_EQ(said, "here\n");
    EXPECT_GT(flood, 0U);
    worker_.ask<protocol::CancelReply>(FrameType::kCancel, encode(kRun));
}

TEST_F(AttachTest, HundredsOfEmptyStepsAreFollowedToTheLast) {
    constexpr int kSteps = 200;
    std::vector<language::PlannedCase> cases;
    for (int i = 0; i < kSteps; ++i)
        cases.push_back(argv_case("s" + std::to_string(i), {"/bin/true"}));
    launch(worker_, std::move(cases));
    const auto finished = follow(worker_, attach()).all<language::CaseFinished>();
    ASSERT_EQ(finished.size(), static_cast<std::size_t>(kSteps));
    for (int i = 0; i < kSteps; ++i)
        EXPECT_EQ(finished[static_cast<std::size_t>(i)].key.value, "s" + std::to_string(i));
}

}  // namespace
}  // namespace nsa::test
