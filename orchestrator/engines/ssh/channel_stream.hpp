// The stdio of the command on a session's channel as a ByteStream.
#pragma once

#include <memory>

#include "engine_ssh/session.hpp"

namespace nsa::engines {

// The session has executed its command. Closing the stream closes the session.
std::unique_ptr<ByteStream> make_channel_stream(std::shared_ptr<Session> session);

}  // namespace nsa::engines
