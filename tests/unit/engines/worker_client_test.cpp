// Requests that are one frame with one answer, and how a stream ends.
#include <gmock/gmock.h>

#include "worker_client_fixture.hpp"

namespace nsa::engines {
namespace {

using namespace std::chrono_literals;
using protocol::Frame;
using protocol::FrameType;
using testing::HasSubstr;

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

}  // namespace
}  // namespace nsa::engines
