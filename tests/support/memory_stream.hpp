// A ByteStream without a peer process: the test is the worker at its other end.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <memory>
#include <string>
#include <string_view>

#include "engines/engine.hpp"
#include "protocol/frame.hpp"

namespace nsa::test {

class MemoryPeer {
  public:
    explicit MemoryPeer(boost::asio::any_io_executor executor);
    ~MemoryPeer();

    // The client's end; once. It may outlive the peer: its reads then end.
    std::unique_ptr<engines::ByteStream> take_stream();

    // The next frame from the client. Throws when the client's bytes are no frames, or it closed.
    boost::asio::awaitable<protocol::Frame> next_frame();
    void send(protocol::FrameType type, std::uint32_t request, std::string_view payload);
    void send_bytes(std::string_view bytes);
    // The client's reads fail with kUnreachable once they have taken what was sent; its writes at once.
    void hang_up(std::string last_words = {});
    bool closed_by_client() const;
    // At most so many bytes for each read of the client; 0: no limit. Frames then arrive in pieces.
    void limit_reads(std::size_t bytes);
    // The client's writes wait until it is called with false.
    void block_writes(bool blocked);

  private:
    struct Wire;
    class Stream;
    std::shared_ptr<Wire> wire_;
    protocol::FrameReader frames_;
};

}  // namespace nsa::test
