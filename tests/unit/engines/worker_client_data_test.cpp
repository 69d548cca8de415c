// Requests with data frames: put, attach and fetch, and the credit that bounds them.
#include <gmock/gmock.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "language/hash.hpp"
#include "support/temp_dir.hpp"
#include "worker_client_fixture.hpp"

namespace nsa::engines {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using protocol::Frame;
using protocol::FrameType;
using testing::ElementsAre;
using testing::HasSubstr;

TEST_F(WorkerClientTest, APutAsksFirstAndSendsNothingThatIsThere) {
    const auto put = start(client_.put_bytes(PutTarget{"src/a.txt", false}, "hello", 5s));
    const Frame frame = from_client();
    const auto asked = protocol::decode<protocol::Put>(frame.payload);
    ASSERT_TRUE(asked);
    EXPECT_TRUE(asked->only_check);
    EXPECT_EQ(asked->sha256, sha256_of("hello"));
    answer(frame, R"({"existed":true})");
    ASSERT_TRUE(*put);
    EXPECT_TRUE((*put)->value().existed);
}

TEST_F(WorkerClientTest, APutSendsTheFileInChunksThatAddUp) {
    const test::TempDir dir;
    std::string bytes;
    for (int i = 0; i < 700'000; ++i)
        bytes += static_cast<char>(i * 7);
    test::write_file(dir / "tool", bytes);
    const auto put = start(client_.put_file(PutTarget{"bin/tool", true}, dir / "tool", 5s));
    answer(from_client(), R"({"existed":false})");
    const Frame frame = from_client();
    const auto announced = protocol::decode<protocol::Put>(frame.payload);
    ASSERT_TRUE(announced);
    EXPECT_FALSE(announced->only_check);
    EXPECT_TRUE(announced->executable);
    EXPECT_EQ(announced->size, bytes.size());
    std::string received;
    while (received.size() < bytes.size()) {
        const Frame data = from_client();
        ASSERT_EQ(data.type, FrameType::kPutData);
        ASSERT_EQ(data.request, frame.request);
        ASSERT_LE(data.payload.size(), protocol::kDataChunk);
        received += data.payload;
    }
    EXPECT_EQ(sha256_of(received), announced->sha256);
    EXPECT_FALSE(*put);
    answer(frame, R"({"existed":false})");
    ASSERT_TRUE(*put);
    EXPECT_TRUE((*put)->has_value());
}

TEST_F(WorkerClientTest, APutStopsSendingWhenTheWorkerHasGivenUp) {
    const auto put = start(client_.put_bytes(PutTarget{"big", false}, std::string(8U << 20, 'x'), 5s));
    answer(from_client(), R"({"existed":false})");
    const Frame frame = from_client();
    peer_.block_writes(true);
    answer(frame, protocol::encode(fail(ErrorCode::kNoSpace, "full")), FrameType::kError);
    peer_.block_writes(false);
    test::settle(io_);
    ASSERT_TRUE(*put);
    EXPECT_EQ((*put)->error().code, ErrorCode::kNoSpace);
}

TEST_F(WorkerClientTest, APutOverALinkThatTakesNothingEndsByItsDeadline) {
    peer_.block_writes(true);
    const auto put = test::run(io_, client_.put_bytes(PutTarget{"a", false}, "x", 1ms));
    EXPECT_EQ(put.error().code, ErrorCode::kTimeout);
}

TEST_F(WorkerClientTest, AMissingLocalFileIsNamed) {
    const auto put = start(client_.put_file(PutTarget{"a", false}, "/nowhere/file", 5s));
    EXPECT_EQ((*put)->error().code, ErrorCode::kNotFound);
    EXPECT_THAT((*put)->error().where, HasSubstr("/nowhere/file"));
}

// Keeps what it is given; may be told to wait or to fail.
class Recorder : public AttachSink, public FetchSink {
  public:
    explicit Recorder(asio::io_context& io) : gate_(io, asio::steady_timer::time_point::max()) {}

    Async<> on_events(std::string lines) override {
        events.push_back(std::move(lines));
        co_return co_await outcome();
    }
    Async<> on_log(protocol::LogPiece piece) override {
        logs.push_back(std::string{piece.path} + "@" + std::to_string(piece.offset) + ":" +
                       std::string{piece.bytes});
        co_return co_await outcome();
    }
    Async<> on_pieces(std::span<const protocol::FilePiece> pieces) override {
        for (const auto& piece : pieces)
            files.emplace_back(std::string{piece.path} + "=" + std::string{piece.bytes});
        co_return co_await outcome();
    }
    void open_gate() {
        closed = false;
        gate_.cancel();
    }

    std::vector<std::string> events, logs, files;
    bool closed = false;
    std::optional<Error> error;

  private:
    Async<> outcome() {
        while (closed)
            co_await gate_.async_wait(asio::as_tuple(asio::use_awaitable));
        if (error) co_return *error;
        co_return Result<void>{};
    }
    asio::steady_timer gate_;
};

protocol::Attach attach_request(std::uint64_t credit) {
    protocol::Attach attach;
    attach.run.run = RunId{"r-1"};
    attach.credit = credit;
    return attach;
}

TEST_F(WorkerClientTest, AnAttachHandsOnEventsAndLogsInOrderUntilItsEnd) {
    Recorder sink{io_};
    const auto attach = start(client_.attach(attach_request(1000), sink));
    const Frame frame = from_client();
    EXPECT_EQ(frame.type, FrameType::kAttach);
    answer(frame, "{\"seq\":1}\n", FrameType::kEvents);
    answer(frame, protocol::encode_log("steps/a/stdout", 5, "hello"), FrameType::kLog);
    answer(frame, "{\"seq\":2}\n", FrameType::kEvents);
    EXPECT_THAT(sink.events, ElementsAre("{\"seq\":1}\n", "{\"seq\":2}\n"));
    EXPECT_THAT(sink.logs, ElementsAre("steps/a/stdout@5:hello"));
    protocol::AttachEnd end;
    end.state = protocol::RemoteState::kFinished;
    end.last_seq = 2;
    answer(frame, protocol::encode(end));
    ASSERT_TRUE(*attach);
    EXPECT_EQ((*attach)->value(), end);
}

TEST_F(WorkerClientTest, CreditGoesBackOnlyAfterTheSinkHasConsumed) {
    Recorder sink{io_};
    sink.closed = true;
    const auto attach = start(client_.attach(attach_request(16), sink));
    const Frame frame = from_client();
    answer(frame, "0123456789\n", FrameType::kEvents);
    const auto ping = start(client_.ping(5s));
    const Frame next = from_client();
    EXPECT_EQ(next.type, FrameType::kPing) << "nothing was sent before it: no credit while the sink waits";
    answer(next, "{}");
    sink.open_gate();
    const Frame credit = from_client();
    EXPECT_EQ(credit.type, FrameType::kCredit);
    EXPECT_EQ(credit.request, frame.request);
    EXPECT_EQ(*protocol::decode_credit(credit.payload), 11U);
    EXPECT_FALSE(*attach);
}

TEST_F(WorkerClientTest, AWorkerThatSendsFarBeyondItsCreditIsCutOff) {
    Recorder sink{io_};
    sink.closed = true;
    const auto attach = start(client_.attach(attach_request(16), sink));
    const Frame frame = from_client();
    const std::string chunk(1U << 20, 'x');
    for (int i = 0; i < 8; ++i)
        answer(frame, chunk, FrameType::kEvents);
    ASSERT_TRUE(client_.end());
    EXPECT_EQ(client_.end()->code, ErrorCode::kProtocol);
    EXPECT_THAT(client_.end()->text, HasSubstr("credit"));
    sink.open_gate();
}

TEST_F(WorkerClientTest, AnErrorOfTheSinkEndsTheAttachAndDetaches) {
    Recorder sink{io_};
    sink.error = fail(ErrorCode::kCorrupt, "the store does not like it");
    const auto attach = start(client_.attach(attach_request(100), sink));
    const Frame frame = from_client();
    answer(frame, "{}\n", FrameType::kEvents);
    ASSERT_TRUE(*attach);
    EXPECT_EQ((*attach)->error().code, ErrorCode::kCorrupt);
    EXPECT_EQ(from_client().type, FrameType::kDetach);
    EXPECT_TRUE(client_.is_open());
}

TEST_F(WorkerClientTest, ALogFrameThatCannotBeReadEndsTheAttach) {
    Recorder sink{io_};
    const auto attach = start(client_.attach(attach_request(100), sink));
    answer(from_client(), "\xff\xff", FrameType::kLog);
    EXPECT_EQ((*attach)->error().code, ErrorCode::kProtocol);
}

TEST_F(WorkerClientTest, AFetchHandsOnAllPiecesAndNamesWhatIsMissing) {
    Recorder sink{io_};
    protocol::Fetch request;
    request.run = run_key();
    const auto fetch = start(client_.fetch(request, sink, 5s));
    const Frame frame = from_client();
    std::string payload;
    for (const char* name : {"a", "b"}) {
        protocol::FilePiece piece;
        piece.path = name;
        piece.file_size = 2;
        piece.bytes = "hi";
        protocol::append_file_piece(payload, piece);
    }
    answer(frame, payload, FrameType::kFile);
    EXPECT_THAT(sink.files, ElementsAre("a=hi", "b=hi"));
    answer(frame, R"({"missing":["c"]})");
    ASSERT_TRUE(*fetch);
    EXPECT_THAT((*fetch)->value().missing, ElementsAre("c"));
}

TEST_F(WorkerClientTest, AFetchWhosePeerFallsSilentEndsByItsDeadline) {
    Recorder sink{io_};
    protocol::Fetch request;
    request.run = run_key();
    const auto fetch = test::run(io_, client_.fetch(request, sink, 1ms));
    EXPECT_EQ(fetch.error().code, ErrorCode::kTimeout);
    EXPECT_TRUE(client_.is_open());
}

}  // namespace
}  // namespace nsa::engines
