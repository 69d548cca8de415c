// Logs that no host should write: as fast as it can, in one line, in no encoding. Sizes in MiB come from
// NSA_FLOOD_MIB (the laboratory's long tier passes 1024); the quick default is 64.
#include <gtest/gtest.h>

#include <cstdlib>

#include "language/hash.hpp"
#include "language/utf8.hpp"
#include "posix/files.hpp"
#include "worker_process.hpp"

namespace nsa::test {
namespace {

using protocol::Frame;
using protocol::FrameType;

std::uint64_t flood_bytes() {
    const char* mib = std::getenv("NSA_FLOOD_MIB");
    return (mib == nullptr ? 64 : std::stoull(mib)) << 20;
}

class Flood : public ::testing::Test {
  protected:
    // What an attach delivered of a log, hashed as it came: this process stays small as well.
    struct Delivered {
        std::uint64_t bytes = 0;
        Sha256 sha256;
        std::string journal;
    };
    Delivered deliver(const std::string& log) {
        Sha256Hasher hasher;
        Delivered delivered;
        protocol::Attach attach;
        attach.run = kRun;
        const auto id = worker_.send(FrameType::kAttach, encode(attach));
        worker_.answer(id, [&](const Frame& frame) {
            if (frame.type == FrameType::kEvents) delivered.journal += frame.payload;
            if (frame.type == FrameType::kLog) {
                const auto piece = protocol::decode_log(frame.payload).value();
                if (piece.path == log) {
                    EXPECT_EQ(piece.offset, delivered.bytes);
                    hasher.update(piece.bytes);
                    delivered.bytes += piece.bytes.size();
                }
                supervisor_kib_ = std::max(supervisor_kib_, kib_of_supervisor());
            }
            worker_.send_as(id, FrameType::kCredit, protocol::encode_credit(frame.payload.size()));
        });
        delivered.sha256 = hasher.finish();
        return delivered;
    }
    void launch(std::string script) {
        const auto plan = plan_of({shell_case("flood", std::move(script))});
        supervisor_ =
            worker_.ask<protocol::LaunchReply>(FrameType::kLaunch, encode(launch_of(kRun, plan))).pid;
    }
    long kib_of_supervisor() const {
        try {
            return peak_rss_kib(static_cast<pid_t>(supervisor_));
        } catch (const std::runtime_error&) {
            return 0;  // it has ended
        }
    }
    std::filesystem::path step() const { return dir_.path() / "runs/r-flood.1/steps/flood"; }

    const protocol::RunKey kRun = run_key("r-flood");
    TempDir dir_;
    WorkerProcess worker_{dir_.path()};
    std::int64_t supervisor_ = 0;
    long supervisor_kib_ = 0;
};

TEST_F(Flood, AtFullSpeedArrivesWholeAndGrowsNeitherServeNorSupervisor) {
    const std::uint64_t size = flood_bytes();
    launch("yes 'a line of a log that nobody will read' | head -c " + std::to_string(size) +
           "; echo end >&2");
    const Delivered delivered = deliver("steps/flood/stdout");
    EXPECT_EQ(delivered.bytes, size);
    EXPECT_EQ(delivered.sha256, sha256_of(read_text(step() / "stdout")));
    EXPECT_LT(peak_rss_kib(worker_.pid()), kBoundedKib);
    EXPECT_GT(supervisor_kib_, 0);
    EXPECT_LT(supervisor_kib_, kBoundedKib);
}

TEST_F(Flood, OfOneLineIsDeliveredInPieces) {
    const std::uint64_t size = flood_bytes();
    launch("head -c " + std::to_string(size) + " /dev/zero | tr '\\0' x");
    const Delivered delivered = deliver("steps/flood/stdout");
    EXPECT_EQ(delivered.bytes, size);
    EXPECT_EQ(delivered.sha256, sha256_of(std::string(size, 'x')));
    EXPECT_LT(peak_rss_kib(worker_.pid()), kBoundedKib);
    EXPECT_LT(supervisor_kib_, kBoundedKib);
}

TEST_F(Flood, OfBytesInNoEncodingArrivesByteForByteAndTheJournalStaysText) {
    launch(
        "head -c 300000 /dev/urandom; printf '\\377\\000\\033[2J'; printf '{\"metric\":\"\\377\"}\\n' > "
        "$NSA_RESULTS");
    const Delivered delivered = deliver("steps/flood/stdout");
    EXPECT_EQ(delivered.bytes, 300'006U);
    EXPECT_EQ(delivered.sha256, sha256_of(read_text(step() / "stdout")));
    EXPECT_TRUE(language::is_utf8(delivered.journal));
    EXPECT_NE(delivered.journal.find("case_finished"), std::string::npos);
}

}  // namespace
}  // namespace nsa::test
