#include "protocol/frame.hpp"

#include <stdexcept>

#include "protocol/little_endian.hpp"

namespace nsa::protocol {
namespace {

// Consumed bytes are dropped in one go once they pass this: moving the rest for every frame would be
// quadratic.
constexpr std::size_t kCompactAfter = 64U << 10;

bool is_known(std::uint16_t type) {
    const auto first_request = static_cast<std::uint16_t>(FrameType::kHello);
    const auto last_request = static_cast<std::uint16_t>(FrameType::kDetach);
    const auto first_answer = static_cast<std::uint16_t>(FrameType::kReply);
    const auto last_answer = static_cast<std::uint16_t>(FrameType::kFile);
    return (type >= first_request && type <= last_request) || (type >= first_answer && type <= last_answer);
}

Error refuse(std::string text) {
    return fail(ErrorCode::kProtocol, std::move(text), "frame header");
}

}  // namespace

void append_frame(std::string& out, FrameType type, std::uint32_t request, std::string_view payload) {
    if (payload.size() > kMaxPayload) {
        // The peer would refuse it and end the stream: a caller that gets here forgot to split or to refuse.
        throw std::length_error{"frame payload of " + std::to_string(payload.size()) + " bytes"};
    }
    append_le(out, static_cast<std::uint32_t>(payload.size()));
    append_le(out, static_cast<std::uint16_t>(type));
    append_le(out, std::uint16_t{0});
    append_le(out, request);
    out.append(payload);
}

void FrameReader::feed(std::string_view bytes) {
    if (start_ == buffer_.size()) {
        buffer_.clear();
        start_ = 0;
    } else if (start_ > kCompactAfter) {
        buffer_.erase(0, start_);
        start_ = 0;
    }
    buffer_.append(bytes);
}

Result<std::optional<Frame>> FrameReader::next() {
    const std::string_view unread = std::string_view{buffer_}.substr(start_);
    if (unread.size() < kHeaderSize) return std::optional<Frame>{};

    // A bad header is left in place, so that the error repeats: nothing after it can be trusted.
    const auto size = load_le<std::uint32_t>(unread);
    const auto type = load_le<std::uint16_t>(unread.substr(4));
    const auto reserved = load_le<std::uint16_t>(unread.substr(6));
    if (!is_known(type)) return refuse("unknown frame type " + std::to_string(type));
    if (reserved != 0) return refuse("reserved field is " + std::to_string(reserved) + ", expected 0");
    if (size > kMaxPayload) {
        return refuse("payload of " + std::to_string(size) + " bytes, at most " +
                      std::to_string(kMaxPayload) + " are allowed");
    }
    if (unread.size() - kHeaderSize < size) return std::optional<Frame>{};

    Frame frame{static_cast<FrameType>(type), load_le<std::uint32_t>(unread.substr(8)),
                std::string{unread.substr(kHeaderSize, size)}};
    start_ += kHeaderSize + size;
    return std::optional<Frame>{std::move(frame)};
}

}  // namespace nsa::protocol
