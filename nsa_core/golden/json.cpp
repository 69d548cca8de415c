#include "nsa_core/golden/json.hpp"

#include <charconv>
#include <set>

#include "nsa_core/errors.hpp"

namespace nsa::core::golden {
namespace {

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

void append_utf8(std::string& out, std::uint32_t point) {
    const auto put = [&](std::uint32_t byte) { out += static_cast<char>(byte); };
    if (point < 0x80) {
        put(point);
    } else if (point < 0x800) {
        put(0xC0 | point >> 6);
        put(0x80 | (point & 0x3F));
    } else if (point < 0x10000) {
        put(0xE0 | point >> 12);
        put(0x80 | (point >> 6 & 0x3F));
        put(0x80 | (point & 0x3F));
    } else {
        put(0xF0 | point >> 18);
        put(0x80 | (point >> 12 & 0x3F));
        put(0x80 | (point >> 6 & 0x3F));
        put(0x80 | (point & 0x3F));
    }
}

class Reader {
  public:
    Reader(std::string_view text, int most_depth) : text_{text}, most_depth_{most_depth} {}

    Json document() {
        Json value = this->value(0);
        skip_blanks();
        if (at_ != text_.size()) fail("nothing more");
        return value;
    }

  private:
    [[noreturn]] void fail(const std::string& expected) const {
        throw InputError{"the header is no JSON at byte " + std::to_string(at_) + ": expected " + expected};
    }
    [[nodiscard]] char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
    bool take(char c) {
        if (at_ >= text_.size() || text_[at_] != c) return false;
        ++at_;
        return true;
    }
    void expect(char c) {
        if (!take(c)) fail(std::string{"'"} + c + "'");
    }
    void skip_blanks() {
        while (peek() == ' ' || peek() == '\n' || peek() == '\r' || peek() == '\t')
            ++at_;
    }

    Json value(int depth) {
        skip_blanks();
        const char c = peek();
        if (c == '{' || c == '[') {
            if (depth == most_depth_) fail("no deeper nesting");
            return c == '{' ? object(depth + 1) : array(depth + 1);
        }
        if (c == '"') return {.kind = Json::Kind::kString, .text = string(), .names = {}, .items = {}};
        if (c == '-' || is_digit(c)) return number();
        return word();
    }

    Json object(int depth) {
        Json value{.kind = Json::Kind::kObject, .text = {}, .names = {}, .items = {}};
        std::set<std::string> seen;
        expect('{');
        skip_blanks();
        if (take('}')) return value;
        do {
            skip_blanks();
            std::string key = string();
            if (!seen.insert(key).second) fail("every name once; this one is given twice");
            skip_blanks();
            expect(':');
            value.names.push_back(std::move(key));
            value.items.push_back(this->value(depth));
            skip_blanks();
        } while (take(','));
        expect('}');
        return value;
    }

    Json array(int depth) {
        Json value{.kind = Json::Kind::kArray, .text = {}, .names = {}, .items = {}};
        expect('[');
        skip_blanks();
        if (take(']')) return value;
        do {
            value.items.push_back(this->value(depth));
            skip_blanks();
        } while (take(','));
        expect(']');
        return value;
    }

    void digits() {
        if (!is_digit(peek())) fail("a digit");
        while (is_digit(peek()))
            ++at_;
    }

    Json number() {
        const std::size_t start = at_;
        (void)take('-');
        if (!take('0')) digits();
        if (take('.')) digits();
        if (take('e') || take('E')) {
            if (!take('+')) (void)take('-');
            digits();
        }
        return {.kind = Json::Kind::kNumber,
                .text = std::string{text_.substr(start, at_ - start)},
                .names = {},
                .items = {}};
    }

    Json word() {
        for (const std::string_view known : {"true", "false", "null"}) {
            if (text_.substr(at_).starts_with(known)) {
                at_ += known.size();
                const auto kind = known == "null" ? Json::Kind::kNull : Json::Kind::kBool;
                return {.kind = kind, .text = std::string{known}, .names = {}, .items = {}};
            }
        }
        fail("a value");
    }

    std::uint32_t four_hex_digits() {
        std::uint32_t value = 0;
        const std::string_view digits = text_.substr(at_, 4);
        const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
        if (digits.size() != 4 || error != std::errc{} || end != digits.data() + 4) fail("four hex digits");
        at_ += 4;
        return value;
    }

    void escaped(std::string& out) {
        constexpr std::string_view kLetters = "\"\\/bfnrt";
        constexpr std::string_view kMeant = "\"\\/\b\f\n\r\t";
        if (const std::size_t which = kLetters.find(peek()); which != std::string_view::npos) {
            ++at_;
            out += kMeant[which];
            return;
        }
        if (!take('u')) fail("an escape");
        std::uint32_t point = four_hex_digits();
        if (point >= 0xD800 && point < 0xDC00) {
            if (!take('\\') || !take('u')) fail("the second half of a surrogate pair");
            const std::uint32_t low = four_hex_digits();
            if (low < 0xDC00 || low > 0xDFFF) fail("the second half of a surrogate pair");
            point = 0x10000 + ((point - 0xD800) << 10) + (low - 0xDC00);
        } else if (point >= 0xDC00 && point <= 0xDFFF) {
            fail("no lone half of a surrogate pair");
        }
        append_utf8(out, point);
    }

    std::string string() {
        expect('"');
        std::string out;
        while (true) {
            if (at_ >= text_.size()) fail("the end of the string");
            const char c = text_[at_];
            if (static_cast<unsigned char>(c) < 0x20) fail("no control character in a string");
            ++at_;
            if (c == '"') return out;
            if (c == '\\') {
                escaped(out);
            } else {
                out += c;
            }
        }
    }

    std::string_view text_;
    int most_depth_;
    std::size_t at_ = 0;
};

}  // namespace

std::optional<std::uint64_t> Json::as_count() const {
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    const bool whole = kind == Kind::kNumber && error == std::errc{} && end == text.data() + text.size();
    return whole ? std::optional{value} : std::nullopt;
}

Json parse_json(std::string_view text, int most_depth) {
    return Reader{text, most_depth}.document();
}

}  // namespace nsa::core::golden
