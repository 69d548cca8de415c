#include "nsa_core/tools/results.hpp"

#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <stdexcept>

namespace nsa::core::tools {
namespace {

// Length of the well-formed UTF-8 sequence at the start of `text`, or 0. Overlong forms, surrogates and
// values above U+10FFFF are not well formed (Unicode 15, table 3-7).
std::size_t utf8_length(std::string_view text) {
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    const auto continues = [&](std::size_t i, unsigned low = 0x80, unsigned high = 0xBF) {
        return i < text.size() && byte(i) >= low && byte(i) <= high;
    };
    const unsigned first = byte(0);
    if (first < 0x80) return 1;
    if (first >= 0xC2 && first <= 0xDF) return continues(1) ? 2 : 0;
    if (first >= 0xE0 && first <= 0xEF) {
        const unsigned low = first == 0xE0 ? 0xA0 : 0x80;
        const unsigned high = first == 0xED ? 0x9F : 0xBF;
        return continues(1, low, high) && continues(2) ? 3 : 0;
    }
    if (first >= 0xF0 && first <= 0xF4) {
        const unsigned low = first == 0xF0 ? 0x90 : 0x80;
        const unsigned high = first == 0xF4 ? 0x8F : 0xBF;
        return continues(1, low, high) && continues(2) && continues(3) ? 4 : 0;
    }
    return 0;
}

std::string json_labels(const Labels& labels) {
    if (labels.empty()) return {};
    std::string text;
    for (const auto& [name, value] : labels) {
        text += text.empty() ? ",\"labels\":{" : ",";
        text += json_text(name) + ":" + json_text(value);
    }
    return text + "}";
}

}  // namespace

std::string json_text(std::string_view text) {
    std::string out = "\"";
    while (!text.empty()) {
        const char c = text.front();
        const std::size_t length = utf8_length(text);
        if (c == '"' || c == '\\') {
            out += {'\\', c};
        } else if (c == '\n') {
            out += "\\n";
        } else if (c == '\t') {
            out += "\\t";
        } else if (c == '\r') {
            out += "\\r";
        } else if (static_cast<unsigned char>(c) < 0x20) {
            char escape[8];
            std::snprintf(escape, sizeof escape, "\\u%04x", static_cast<unsigned>(c));
            out += escape;
        } else if (length == 0) {
            out += "\xEF\xBF\xBD";
        } else {
            out += text.substr(0, length);
        }
        text.remove_prefix(length == 0 ? 1 : length);
    }
    return out + "\"";
}

std::string json_number(double value) {
    if (std::isnan(value)) return "\"nan\"";
    if (std::isinf(value)) return value > 0 ? "\"inf\"" : "\"-inf\"";
    char buffer[40];
    std::snprintf(buffer, sizeof buffer, "%.17g", value);
    return buffer;
}

std::string json_line(const Metric& metric) {
    std::string line = "{\"metric\":" + json_text(metric.name) + ",\"value\":" + json_number(metric.value) +
                       ",\"unit\":" + json_text(metric.unit) + json_labels(metric.labels);
    if (metric.sample) line += ",\"sample\":" + std::to_string(*metric.sample);
    return line + "}";
}

std::string json_line(const Fact& fact) {
    return "{\"fact\":" + json_text(fact.name) + ",\"value\":" + json_text(fact.value) +
           json_labels(fact.labels) + "}";
}

std::string json_skip_line(std::string_view reason) {
    return "{\"skip\":" + json_text(reason) + "}";
}

ResultsWriter::ResultsWriter(std::filesystem::path path)
    : path_{std::move(path)}, file_{path_, std::ios::app | std::ios::binary} {
    if (!file_) {
        throw std::runtime_error{"cannot open the results file " + path_.string() + ": " +
                                 std::strerror(errno)};
    }
}

void ResultsWriter::append(std::string line) {
    line += '\n';
    file_ << line << std::flush;
    if (!file_) {
        throw std::runtime_error{"cannot write to the results file " + path_.string() + ": " +
                                 std::strerror(errno)};
    }
}

}  // namespace nsa::core::tools
