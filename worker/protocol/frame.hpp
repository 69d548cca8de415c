// Framing of the byte stream between orchestrator and `nsa-worker serve`.
//   offset 0  u32  payload size in bytes, little-endian, at most kMaxPayload
//   offset 4  u16  FrameType
//   offset 6  u16  reserved, 0
//   offset 8  u32  request id: chosen by the client, echoed in every frame that answers
//   offset 12 payload: JSON for control messages, binary for data frames (messages.hpp)
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "language/result.hpp"

namespace nsa::protocol {

inline constexpr int kProtocolVersion = 1;
inline constexpr std::size_t kHeaderSize = 12;
inline constexpr std::size_t kMaxPayload = 4U << 20;   // a plan of 4096 cases fits
inline constexpr std::size_t kDataChunk = 256U << 10;  // payload of data frames

enum class FrameType : std::uint16_t {
    // client -> worker
    kHello = 1,
    kPing = 2,
    kProbe = 3,
    kPut = 4,
    kPutData = 5,
    kLaunch = 6,
    kAttach = 7,
    kCredit = 8,
    kFetch = 9,
    kCancel = 10,
    kListRuns = 11,
    kDetach = 12,
    // worker -> client
    kReply = 64,   // JSON answer of a request, its last frame
    kError = 65,   // JSON {code, text, where}, last frame of a request
    kEvents = 66,  // journal lines, as they stand in journal.jsonl
    kLog = 67,     // log bytes
    kFile = 68,    // packed pieces of files
};

struct Frame {
    FrameType type{};
    std::uint32_t request = 0;
    std::string payload;

    bool operator==(const Frame&) const = default;
};

void append_frame(std::string& out, FrameType type, std::uint32_t request, std::string_view payload);

// Incremental and allocation-bounded: refuses an oversized or unknown frame at its header.
class FrameReader {
  public:
    void feed(std::string_view bytes);
    // The next whole frame, nothing yet, or the error that ends the stream.
    Result<std::optional<Frame>> next();

  private:
    std::string buffer_;
    std::size_t start_ = 0;
};

}  // namespace nsa::protocol
