// A client whose worker is the test itself, at the other end of a stream in memory.
#pragma once

#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <memory>
#include <optional>
#include <string_view>

#include "engines/worker_client.hpp"
#include "support/memory_stream.hpp"
#include "support/run.hpp"

namespace nsa::engines {

class WorkerClientTest : public testing::Test {
  protected:
    // Starts a request; its result lands in the returned place when it is there.
    template <class T>
    std::shared_ptr<std::optional<Result<T>>> start(Async<T> request) {
        auto place = std::make_shared<std::optional<Result<T>>>();
        boost::asio::co_spawn(io_, std::move(request), [place](std::exception_ptr thrown, Result<T> result) {
            if (thrown) std::rethrow_exception(thrown);
            *place = std::move(result);
        });
        test::settle(io_);
        return place;
    }
    protocol::Frame from_client() { return test::run(io_, peer_.next_frame()); }
    void answer(const protocol::Frame& request, std::string_view payload,
                protocol::FrameType type = protocol::FrameType::kReply) {
        peer_.send(type, request.request, payload);
        test::settle(io_);
    }
    static protocol::RunKey run_key() {
        protocol::RunKey key;
        key.run = RunId{"r-1"};
        return key;
    }

    boost::asio::io_context io_;
    test::MemoryPeer peer_{io_.get_executor()};
    WorkerClient client_{io_.get_executor(), peer_.take_stream(), "instance a100"};
};

}  // namespace nsa::engines
