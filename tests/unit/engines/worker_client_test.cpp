// The client against a scripted worker at the other end of a stream in memory.
#include "engines/worker_client.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "language/hash.hpp"
#include "support/memory_stream.hpp"
#include "support/run.hpp"
#include "support/temp_dir.hpp"

namespace nsa::engines {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using protocol::Frame;
using protocol::FrameType;
using testing::ElementsAre;
using testing::HasSubstr;

class WorkerClientTest : public testing::Test {
  protected:
    // Starts a request; its result lands in the returned place when it is there.
    template <class T>
    std::shared_ptr<std::optional<Result<T>>> start(Async<T> request) {
        auto place = std::make_shared<std::optional<Result<T>>>();
        asio::co_spawn(io_, std::move(request), [place](std::exception_ptr thrown, Result<T> result) {
            if (thrown) std::rethrow_exception(thrown);
            *place = std::move(result);
        });
        test::settle(io_);
        return place;
    }
    Frame from_client() { return test::run(io_, peer_.next_frame()); }
    void answer(const Frame& request, std::string_view payload, FrameType type = FrameType::kReply) {
        peer_.send(type, request.request, payload);
        test::settle(io_);
    }
    static protocol::RunKey run_key() {
        protocol::RunKey key;
        key.run = RunId{"r-1"};
        return key;
    }

    asio::io_context io_;
    test::MemoryPeer peer_{io_.get_executor()};
    WorkerClient client_{io_.get_executor(), peer_.take_stream(), "instance a100"};
};

TEST_F(WorkerClientTest, HelloCarriesTheVersionAndReturnsTheHostsFacts) {
    const auto reply = start(client_.hello("nsad 0.1.0", 5s));
    const Frame frame = from_client();
    EXPECT_EQ(frame.type, FrameType::kHello);
    EXPECT_EQ(protocol::decode<protocol::Hello>(frame.payload)->client, "nsad 0.1.0");
    protocol::HelloReply facts;
    facts.hostname = "gpu";
    facts.home = "/root/.nsa";
    answer(frame, protocol::encode(facts));
    ASSERT_TRUE(*reply);
    EXPECT_EQ(reply->value().value(), facts);
}

TEST_F(WorkerClientTest, AnotherProtocolVersionIsAnErrorThatNamesBoth) {
    const auto reply = start(client_.hello("nsad", 5s));
    protocol::HelloReply facts;
    facts.protocol = 7;
    answer(from_client(), protocol::encode(facts));
    EXPECT_EQ((*reply)->error().code, ErrorCode::kProtocol);
    EXPECT_THAT((*reply)->error().text, HasSubstr("version 7"));
    EXPECT_THAT((*reply)->error().text, HasSubstr("version 1"));
}

TEST_F(WorkerClientTest, ManyRequestsAreInFlightAndAnswersMayComeInAnyOrder) {
    const auto ping = start(client_.ping(5s));
    const auto cancel = start(client_.cancel(run_key(), 5s));
    const Frame first = from_client(), second = from_client();
    EXPECT_EQ(first.type, FrameType::kPing);
    EXPECT_EQ(second.type, FrameType::kCancel);
    protocol::CancelReply cancelled;
    cancelled.state = protocol::RemoteState::kRunning;
    answer(second, protocol::encode(cancelled));
    ASSERT_TRUE(*cancel);
    EXPECT_EQ((*cancel)->value(), cancelled);
    EXPECT_FALSE(*ping) << "its answer has not come";
    answer(first, "{}");
    ASSERT_TRUE(*ping);
    EXPECT_TRUE(ping->value().has_value());
}

TEST_F(WorkerClientTest, FramesThatArriveByteByByteAreTheSame) {
    peer_.limit_reads(1);
    const auto runs = start(client_.list_runs(5s));
    std::vector<protocol::RunListing> listing(1);
    listing[0].run = run_key();
    answer(from_client(), protocol::encode(listing));
    ASSERT_TRUE(*runs);
    EXPECT_EQ((*runs)->value(), listing);
}

TEST_F(WorkerClientTest, AnErrorOfTheWorkerKeepsItsCodeAndSaysWhereItHappened) {
    const auto probe = start(client_.probe(5s));
    answer(from_client(), protocol::encode(fail(ErrorCode::kNoSpace, "the disk is full", "home")),
           FrameType::kError);
    EXPECT_EQ((*probe)->error(), fail(ErrorCode::kNoSpace, "the disk is full", "instance a100: home"));
}

TEST_F(WorkerClientTest, AnAnswerThatIsNoJsonFailsItsRequestAndNoOther) {
    const auto probe = start(client_.probe(5s));
    const auto ping = start(client_.ping(5s));
    const Frame asked = from_client(), pinged = from_client();
    answer(asked, "][");
    EXPECT_EQ((*probe)->error().code, ErrorCode::kProtocol);
    EXPECT_THAT((*probe)->error().where, HasSubstr("instance a100"));
    answer(pinged, "{}");
    EXPECT_TRUE((*ping)->has_value());
}

TEST_F(WorkerClientTest, ADataFrameInPlaceOfAReplyIsAProtocolError) {
    const auto probe = start(client_.probe(5s));
    answer(from_client(), "x", FrameType::kLog);
    EXPECT_EQ((*probe)->error().code, ErrorCode::kProtocol);
}

TEST_F(WorkerClientTest, GarbageEndsTheStreamAndEveryRequestWithIt) {
    const auto ping = start(client_.ping(5s));
    const auto probe = start(client_.probe(5s));
    peer_.send_bytes("HTTP/1.1 200 OK\r\n\r\n");
    test::settle(io_);
    EXPECT_EQ((*ping)->error().code, ErrorCode::kProtocol);
    EXPECT_EQ((*probe)->error().code, ErrorCode::kProtocol);
    EXPECT_FALSE(client_.is_open());
    EXPECT_TRUE(peer_.closed_by_client());
}

TEST_F(WorkerClientTest, AnAnswerToNothingEndsTheStream) {
    const auto ping = start(client_.ping(5s));
    peer_.send(FrameType::kReply, 99, "{}");
    test::settle(io_);
    EXPECT_EQ((*ping)->error().code, ErrorCode::kProtocol);
    EXPECT_THAT((*ping)->error().text, HasSubstr("request 99"));
}

TEST_F(WorkerClientTest, WhenThePeerHangsUpEveryRequestFailsWithItsLastWords) {
    const auto ping = start(client_.ping(5s));
    const auto probe = start(client_.probe(5s));
    peer_.hang_up("nsa-worker: cannot open /root/.nsa");
    test::settle(io_);
    for (const Error& error : {(*ping)->error(), (*probe)->error()}) {
        EXPECT_EQ(error.code, ErrorCode::kUnreachable);
        EXPECT_THAT(error.text, HasSubstr("cannot open /root/.nsa"));
        EXPECT_EQ(error.where, "instance a100");
    }
    ASSERT_TRUE(client_.end());
    const auto late = start(client_.ping(5s));
    EXPECT_EQ((*late)->error(), *client_.end()) << "requests made afterwards fail at once";
}

TEST_F(WorkerClientTest, ClosingFailsWhatIsInFlight) {
    const auto ping = start(client_.ping(5s));
    client_.close();
    client_.close();
    test::settle(io_);
    EXPECT_EQ((*ping)->error().code, ErrorCode::kUnreachable);
    EXPECT_TRUE(peer_.closed_by_client());
}

TEST_F(WorkerClientTest, ARequestMayOutliveItsClient) {
    test::MemoryPeer peer{io_.get_executor()};
    auto client = std::make_unique<WorkerClient>(io_.get_executor(), peer.take_stream(), "instance gone");
    const auto ping = start(client->ping(5s));
    client.reset();
    test::settle(io_);
    EXPECT_EQ((*ping)->error().code, ErrorCode::kUnreachable);
}

TEST_F(WorkerClientTest, ADeadlineEndsTheRequestAndItsLateAnswerIsDropped) {
    const auto ping = test::run(io_, client_.ping(1ms));
    ASSERT_FALSE(ping);
    EXPECT_EQ(ping.error().code, ErrorCode::kTimeout);
    answer(from_client(), "{}");
    EXPECT_TRUE(client_.is_open());
    const auto again = start(client_.ping(5s));
    answer(from_client(), "{}");
    EXPECT_TRUE((*again)->has_value());
}

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
    client_.detach(run_key());
    EXPECT_EQ(from_client().type, FrameType::kDetach)
        << "nothing was sent before it: no credit while the sink waits";
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
