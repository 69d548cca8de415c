#include "api/target.hpp"

#include <charconv>
#include <optional>

namespace nsa::api {
namespace {

int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

// Nothing for a broken escape or a NUL.
std::optional<std::string> percent_decode(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    for (std::size_t i = 0; i < text.size(); ++i) {
        char c = text[i];
        if (c == '%') {
            if (i + 2 >= text.size()) return std::nullopt;
            const int high = hex_digit(text[i + 1]), low = hex_digit(text[i + 2]);
            if (high < 0 || low < 0) return std::nullopt;
            c = static_cast<char>(high * 16 + low);
            i += 2;
        }
        if (c == '\0') return std::nullopt;
        out += c;
    }
    return out;
}

// Calls `use` for each piece between separators; stops when it returns false.
template <class Use>
bool split(std::string_view text, char separator, Use use) {
    for (;;) {
        const std::size_t end = text.find(separator);
        if (!use(text.substr(0, end))) return false;
        if (end == std::string_view::npos) return true;
        text.remove_prefix(end + 1);
    }
}

Error bad_target(std::string_view why, std::string_view text) {
    return fail(ErrorCode::kUsage, std::string(why), "request target " + std::string(text.substr(0, 200)));
}

}  // namespace

Result<Target> parse_target(std::string_view text) {
    if (text.empty() || text.front() != '/') return bad_target("it does not start with '/'", text);
    const std::size_t question = text.find('?');
    Target target;
    const bool path_is_good = split(text.substr(1, question - 1), '/', [&](std::string_view piece) {
        std::optional<std::string> segment = percent_decode(piece);
        if (!segment || segment->empty()) return false;
        target.path.push_back(std::move(*segment));
        return true;
    });
    if (!path_is_good) return bad_target("its path has an empty segment or a broken %XX escape", text);
    if (question == std::string_view::npos) return target;
    const bool query_is_good = split(text.substr(question + 1), '&', [&](std::string_view piece) {
        const std::size_t equals = piece.find('=');
        const auto key = percent_decode(piece.substr(0, equals));
        const auto value =
            percent_decode(equals == std::string_view::npos ? std::string_view{} : piece.substr(equals + 1));
        return key && value && !key->empty() && target.query.emplace(*key, *value).second;
    });
    if (!query_is_good)
        return bad_target("its query has an empty or repeated key or a broken %XX escape", text);
    return target;
}

std::string percent_encode(std::string_view text) {
    constexpr char kHex[] = "0123456789ABCDEF";
    std::string out;
    for (const char c : text) {
        const bool plain = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
                           c == '.' || c == '_' || c == '~' || c == '-';
        if (plain) {
            out += c;
        } else {
            const auto byte = static_cast<unsigned char>(c);
            out += {'%', kHex[byte >> 4U], kHex[byte & 15U]};
        }
    }
    return out;
}

Result<std::uint64_t> query_number(const Target& target, const std::string& key, std::uint64_t fallback) {
    const auto found = target.query.find(key);
    if (found == target.query.end()) return fallback;
    const std::string& text = found->second;
    std::uint64_t number = 0;
    const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (problem != std::errc{} || end != text.data() + text.size())
        return fail(ErrorCode::kUsage, "'" + text + "' is not a whole number", "query parameter " + key);
    return number;
}

}  // namespace nsa::api
