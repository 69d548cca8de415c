// The binary payloads: kLog and kFile.
#include <limits>
#include <stdexcept>

#include "protocol/little_endian.hpp"
#include "protocol/messages.hpp"

namespace nsa::protocol {
namespace {

void append_path(std::string& out, std::string_view path) {
    if (path.size() > std::numeric_limits<std::uint16_t>::max()) {
        throw std::length_error{"path of " + std::to_string(path.size()) + " bytes in a data frame"};
    }
    append_le(out, static_cast<std::uint16_t>(path.size()));
    out.append(path);
}

Error malformed(std::string_view where, std::string text) {
    return fail(ErrorCode::kProtocol, std::move(text), std::string{where});
}

Result<std::string_view> take_path(std::string_view& bytes, std::string_view where) {
    std::uint16_t size = 0;
    if (!take_le(bytes, size) || bytes.size() < size) return malformed(where, "ends within the path");
    const std::string_view path = bytes.substr(0, size);
    bytes.remove_prefix(size);
    if (!language::is_safe_relative_path(path)) {
        return malformed(where,
                         "path is not a safe relative path (no absolute path, '..', control characters)");
    }
    return path;
}

}  // namespace

std::string encode_log(std::string_view path, std::uint64_t offset, std::string_view bytes) {
    std::string payload;
    payload.reserve(2 + path.size() + 8 + bytes.size());
    append_path(payload, path);
    append_le(payload, offset);
    payload.append(bytes);
    return payload;
}

Result<LogPiece> decode_log(std::string_view payload) {
    const auto path = take_path(payload, "log frame");
    if (!path) return path.error();
    LogPiece piece;
    piece.path = *path;
    if (!take_le(payload, piece.offset)) return malformed("log frame", "ends within the offset");
    if (piece.offset > std::numeric_limits<std::uint64_t>::max() - payload.size()) {
        return malformed("log frame", "offset plus size overflows");
    }
    piece.bytes = payload;
    return piece;
}

void append_file_piece(std::string& payload, const FilePiece& piece) {
    append_path(payload, piece.path);
    append_le(payload, piece.file_size);
    append_le(payload, piece.offset);
    append_le(payload, static_cast<std::uint32_t>(piece.bytes.size()));
    payload.append(piece.bytes);
}

Result<std::vector<FilePiece>> decode_files(std::string_view payload) {
    std::vector<FilePiece> pieces;
    while (!payload.empty()) {
        const std::string where = "file frame, piece " + std::to_string(pieces.size());
        const auto path = take_path(payload, where);
        if (!path) return path.error();
        FilePiece piece;
        piece.path = *path;
        std::uint32_t count = 0;
        if (!take_le(payload, piece.file_size) || !take_le(payload, piece.offset) ||
            !take_le(payload, count)) {
            return malformed(where, "ends within its sizes");
        }
        if (count > payload.size()) {
            return malformed(where, "claims " + std::to_string(count) + " bytes, " +
                                        std::to_string(payload.size()) + " are there");
        }
        if (piece.offset > piece.file_size || count > piece.file_size - piece.offset) {
            return malformed(where, "offset " + std::to_string(piece.offset) + " plus " +
                                        std::to_string(count) + " bytes is past the file size " +
                                        std::to_string(piece.file_size));
        }
        piece.bytes = payload.substr(0, count);
        payload.remove_prefix(count);
        pieces.push_back(piece);
    }
    return pieces;
}

}  // namespace nsa::protocol
