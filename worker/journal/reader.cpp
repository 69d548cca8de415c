#include "journal/reader.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

#include "posix/errno_error.hpp"
#include "posix/files.hpp"

namespace nsa::journal {
namespace {

Result<std::uint64_t> size_of(int file) {
    struct stat info {};
    if (::fstat(file, &info) != 0) return posix::errno_error(errno, "stat of the journal");
    return static_cast<std::uint64_t>(info.st_size);
}

}  // namespace

Result<Tail> read_tail(int file) {
    const auto size = size_of(file);
    if (!size) return size.error();
    // The last whole line, and after it at most one torn one.
    const std::uint64_t window = std::min<std::uint64_t>(*size, 2 * kLongestLine + 2);
    std::string bytes;
    if (const auto read = posix::read_at(file, *size - window, window, bytes); !read) return read.error();

    const std::size_t end = bytes.rfind('\n');
    if (end == std::string::npos) {
        if (window < *size) return fail(ErrorCode::kCorrupt, "ends in an endless line", "journal.jsonl");
        return Tail{};
    }
    const std::size_t before = end == 0 ? std::string::npos : bytes.rfind('\n', end - 1);
    const std::size_t start = before == std::string::npos ? 0 : before + 1;
    auto event = language::event_from_line(std::string_view{bytes}.substr(start, end - start));
    if (!event) return event.error();
    return Tail{*size - window + end + 1, std::move(*event)};
}

Result<std::optional<language::Event>> read_first(int file) {
    std::string bytes;
    if (const auto read = posix::read_at(file, 0, 64U << 10, bytes); !read) return read.error();
    const std::size_t end = bytes.find('\n');
    if (end == std::string::npos) return std::optional<language::Event>{};
    auto event = language::event_from_line(std::string_view{bytes}.substr(0, end));
    if (!event) return event.error();
    return std::optional{std::move(*event)};
}

Result<std::string> LineReader::read(std::size_t limit) {
    std::string bytes;
    if (const auto read = posix::read_at(file_.get(), offset_, limit, bytes); !read) return read.error();
    std::size_t end = bytes.rfind('\n');
    if (end == std::string::npos && bytes.size() == limit && limit < kLongestLine) {
        bytes.clear();
        if (const auto read = posix::read_at(file_.get(), offset_, kLongestLine, bytes); !read) {
            return read.error();
        }
        end = bytes.find('\n');
    }
    if (end == std::string::npos && bytes.size() >= kLongestLine) {
        return fail(ErrorCode::kCorrupt, "a line is longer than " + std::to_string(kLongestLine) + " bytes",
                    "journal.jsonl");
    }
    bytes.resize(end == std::string::npos ? 0 : end + 1);
    offset_ += bytes.size();
    return bytes;
}

std::string_view event_name(std::string_view line) {
    // {"seq":12,"wall_ms":1732370000000,"event":"case_started",...: numbers only come before it.
    constexpr std::string_view kKey = R"("event":")";
    const std::string_view head = line.substr(0, 96);
    const std::size_t key = head.find(kKey);
    if (key == std::string_view::npos) return {};
    const std::size_t start = key + kKey.size();
    const std::size_t end = line.find('"', start);
    return end == std::string_view::npos ? std::string_view{} : line.substr(start, end - start);
}

}  // namespace nsa::journal
