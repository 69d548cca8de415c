// nsa-fake-worker serve: answers hello and ping, floods a fetch with as many bytes as asked for, and obeys a
// few wishes hidden in the ping's place: the path of a fetch item. Blocking and small on purpose.
//   fetch "bytes"   item.offset bytes of data, then FetchEnd
//   fetch "stderr"  item.offset bytes on stderr first, then FetchEnd
//   fetch "die"     exits at once with status 3, after a word on stderr
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "protocol/frame.hpp"
#include "protocol/messages.hpp"

namespace {

using namespace nsa;
using protocol::FrameType;

void write_all(int fd, std::string_view bytes) {
    while (!bytes.empty()) {
        const ssize_t n = ::write(fd, bytes.data(), bytes.size());
        if (n <= 0) std::exit(0);
        bytes.remove_prefix(static_cast<std::size_t>(n));
    }
}

void answer(FrameType type, std::uint32_t request, std::string_view payload) {
    std::string out;
    protocol::append_frame(out, type, request, payload);
    write_all(STDOUT_FILENO, out);
}

void flood(std::uint32_t request, std::uint64_t bytes) {
    const std::string chunk(64 << 10, 'x');
    for (std::uint64_t at = 0; at < bytes;) {
        protocol::FilePiece piece;
        piece.path = "bytes";
        piece.file_size = bytes;
        piece.offset = at;
        piece.bytes = std::string_view{chunk}.substr(0, bytes - at);
        std::string payload;
        protocol::append_file_piece(payload, piece);
        answer(FrameType::kFile, request, payload);
        at += piece.bytes.size();
    }
}

void fetch(const protocol::Frame& frame) {
    const Result<protocol::Fetch> request = protocol::decode<protocol::Fetch>(frame.payload);
    if (!request) return answer(FrameType::kError, frame.request, protocol::encode(request.error()));
    for (const protocol::FetchItem& item : request->items) {
        if (item.path == "bytes") flood(frame.request, item.offset);
        if (item.path == "stderr") write_all(STDERR_FILENO, std::string(item.offset, 'e'));
        if (item.path == "die") {
            write_all(STDERR_FILENO, "the fake worker dies as told\n");
            std::exit(3);
        }
    }
    answer(FrameType::kReply, frame.request, protocol::encode(protocol::FetchEnd{}));
}

void serve(const protocol::Frame& frame, const std::string& home) {
    switch (frame.type) {
        case FrameType::kHello: {
            protocol::HelloReply reply;
            reply.worker_version = "fake";
            reply.home = home;
            return answer(FrameType::kReply, frame.request, protocol::encode(reply));
        }
        case FrameType::kPing:
            return answer(FrameType::kReply, frame.request, "{}");
        case FrameType::kFetch:
            return fetch(frame);
        case FrameType::kCredit:
            return;  // it never waits for any
        default:
            return answer(FrameType::kError, frame.request,
                          protocol::encode(fail(ErrorCode::kUsage, "the fake worker cannot do that")));
    }
}

}  // namespace

int main(int argc, char** argv) {
    std::string home = "unset";
    for (int i = 1; i + 1 < argc; ++i) {
        if (std::string_view{argv[i]} == "--home") home = argv[i + 1];
    }
    protocol::FrameReader frames;
    std::string buffer(64 << 10, '\0');
    for (;;) {
        const ssize_t n = ::read(STDIN_FILENO, buffer.data(), buffer.size());
        if (n <= 0) return 0;
        frames.feed(std::string_view{buffer}.substr(0, static_cast<std::size_t>(n)));
        for (;;) {
            const auto frame = frames.next();
            if (!frame) return 2;
            if (!*frame) break;
            serve(**frame, home);
        }
    }
}
