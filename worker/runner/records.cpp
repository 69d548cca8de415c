#include "runner/records.hpp"

#include <algorithm>
#include <boost/json.hpp>
#include <iterator>
#include <optional>

#include "journal/run_dir.hpp"
#include "language/parsers/parsers.hpp"
#include "language/utf8.hpp"
#include "posix/files.hpp"

namespace nsa::runner {
namespace {

constexpr std::uint64_t kMostBytes = 64U << 20;
constexpr std::size_t kMostRecords = 256;
constexpr std::size_t kMostErrors = 100, kLongestError = 500;
constexpr std::size_t kLongestRecord = 32U << 10, kLongestChunk = 128U << 10;

// Nothing: there is no such file.
std::optional<std::string> read_output(int folder, const std::string& name,
                                       std::vector<std::string>& errors) {
    struct stat info {};
    const auto file = posix::open_regular_below(folder, name, &info);
    if (!file) {
        if (file.error().code != ErrorCode::kNotFound) errors.push_back(name + ": " + file.error().text);
        return std::nullopt;
    }
    const auto size = static_cast<std::uint64_t>(info.st_size);
    if (size > kMostBytes) {
        errors.push_back(name + ": " + std::to_string(size) + " bytes, of which only the first " +
                         std::to_string(kMostBytes) + " were read");
    }
    std::string text;
    const auto read = posix::read_at(file->get(), 0, std::min(size, kMostBytes), text);
    if (!read) errors.push_back(name + ": " + read.error().text);
    return text;
}

// The errors' places name their file.
void take(language::ParsedRecords parsed, StepRecords& out) {
    out.records.insert(out.records.end(), std::make_move_iterator(parsed.records.begin()),
                       std::make_move_iterator(parsed.records.end()));
    for (const auto& error : parsed.errors)
        out.errors.push_back(error.describe());
}

// Lines of a file that the plan has no parser for: nothing named the file yet.
language::ParsedRecords in_file(language::ParsedRecords parsed, const std::string& name) {
    for (Error& error : parsed.errors)
        error.where = name + (error.where.empty() ? "" : ", " + error.where);
    return parsed;
}

// Errors quote what could not be read, which may be anything.
std::string presentable(const std::string& error) {
    if (language::is_utf8(error) && error.size() <= kLongestError) return error;
    std::string text = error.substr(0, kLongestError);
    for (char& c : text) {
        if (static_cast<unsigned char>(c) >= 0x80) c = '?';
    }
    return text;
}

std::vector<std::string> presentable(const std::vector<std::string>& errors) {
    std::vector<std::string> out;
    for (const auto& error : errors) {
        if (out.size() == kMostErrors) {
            out.push_back("and " + std::to_string(errors.size() - kMostErrors) + " more errors");
            break;
        }
        out.push_back(presentable(error));
    }
    return out;
}

}  // namespace

StepRecords read_records(int step_folder, const language::PlannedCase& planned) {
    StepRecords out;
    if (const auto text = read_output(step_folder, journal::kResults, out.errors)) {
        take(in_file(language::parse_record_lines(*text), journal::kResults), out);
    }
    for (const auto& parser : planned.parsers) {
        const auto text = read_output(step_folder, parser.source, out.errors);
        if (text) {
            take(language::parse_output(parser, *text), out);
        } else {
            out.errors.push_back(parser.source +
                                 ": the step made no such file, a parser of the plan reads it");
        }
    }
    return out;
}

std::vector<language::CaseRecords> in_chunks(const CaseKey& key, StepRecords& step) {
    std::vector<language::CaseRecords> chunks;
    std::size_t chunk_bytes = 0, index = 0;
    std::vector<language::Record> kept;
    for (auto& record : step.records) {
        const std::string text = boost::json::serialize(language::to_json(record));
        if (!language::is_utf8(text) || text.size() > kLongestRecord) {
            step.errors.push_back("record " + std::to_string(index) + ": " +
                                  (text.size() > kLongestRecord ? "longer than 32 KiB" : "not UTF-8"));
        } else {
            const bool full = chunks.empty() || chunks.back().records.size() == kMostRecords ||
                              chunk_bytes + text.size() > kLongestChunk;
            if (full) {
                chunks.push_back({key, {}, {}});
                chunk_bytes = 0;
            }
            chunks.back().records.push_back(record);
            chunk_bytes += text.size();
            kept.push_back(std::move(record));
        }
        ++index;
    }
    step.records = std::move(kept);
    step.errors = presentable(step.errors);
    if (!step.errors.empty()) {
        if (chunks.empty()) chunks.push_back({key, {}, {}});
        chunks.back().errors = step.errors;
    }
    return chunks;
}

}  // namespace nsa::runner
