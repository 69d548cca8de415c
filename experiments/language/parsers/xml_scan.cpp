#include "language/parsers/xml_scan.hpp"

#include <algorithm>
#include <array>
#include <charconv>

#include "language/text.hpp"

namespace nsa::language {

namespace {

constexpr std::size_t kDeepest = 64;  // real files need 5
constexpr std::size_t kMostAttributes = 64;

void append_utf8(std::string& out, unsigned long point) {
    if (point < 0x80) {
        out += static_cast<char>(point);
    } else if (point < 0x800) {
        out += {static_cast<char>(0xC0U | (point >> 6U)), static_cast<char>(0x80U | (point & 0x3FU))};
    } else if (point < 0x10000) {
        out += {static_cast<char>(0xE0U | (point >> 12U)), static_cast<char>(0x80U | ((point >> 6U) & 0x3FU)),
                static_cast<char>(0x80U | (point & 0x3FU))};
    } else {
        out +=
            {static_cast<char>(0xF0U | (point >> 18U)), static_cast<char>(0x80U | ((point >> 12U) & 0x3FU)),
             static_cast<char>(0x80U | ((point >> 6U) & 0x3FU)), static_cast<char>(0x80U | (point & 0x3FU))};
    }
}

// "#10" or "#x0A"; false when it is no character.
bool append_reference(std::string_view body, std::string& out) {
    const bool hex = body.starts_with("#x");
    body.remove_prefix(hex ? 2 : 1);
    unsigned long point = 0;
    const auto [end, failed] = std::from_chars(body.data(), body.data() + body.size(), point, hex ? 16 : 10);
    const bool surrogate = point >= 0xD800 && point <= 0xDFFF;
    if (failed != std::errc{} || end != body.data() + body.size() || point == 0 || point > 0x10FFFF ||
        surrogate) {
        return false;
    }
    append_utf8(out, point);
    return true;
}

// Text with its entities replaced; an unknown one stays as it is written.
std::string decoded(std::string_view text) {
    constexpr std::array<std::pair<std::string_view, char>, 5> kEntities{
        {{"amp", '&'}, {"lt", '<'}, {"gt", '>'}, {"quot", '"'}, {"apos", '\''}}};
    constexpr std::size_t kLongestEntity = 10;
    std::string out;
    while (!text.empty()) {
        const std::size_t start = text.find('&');
        out += text.substr(0, start);
        if (start == std::string_view::npos) break;
        text.remove_prefix(start + 1);
        const std::size_t end = text.substr(0, kLongestEntity).find(';');
        const std::string_view body = text.substr(0, end == std::string_view::npos ? 0 : end);
        const auto known = std::find_if(kEntities.begin(), kEntities.end(),
                                        [&](const auto& entity) { return entity.first == body; });
        if (known != kEntities.end()) {
            out += known->second;
        } else if (!body.starts_with('#') || !append_reference(body, out)) {
            out += '&';
            continue;
        }
        text.remove_prefix(end + 1);
    }
    return out;
}

}  // namespace

std::string_view XmlToken::attribute(std::string_view key) const {
    const auto found = attributes.find(key);
    return found == attributes.end() ? std::string_view() : std::string_view(found->second);
}

std::size_t XmlScanner::line() const {
    const std::string_view before = text_.substr(0, place_);
    return 1 + static_cast<std::size_t>(std::count(before.begin(), before.end(), '\n'));
}

XmlToken XmlScanner::fault(std::string text) {
    over_ = true;
    XmlToken token;
    token.kind = XmlToken::Kind::kFault;
    token.fault = std::move(text);
    return token;
}

bool XmlScanner::skip_to(std::string_view end) {
    const std::size_t found = text_.find(end, place_);
    if (found == std::string_view::npos) return false;
    place_ = found + end.size();
    return true;
}

void XmlScanner::skip_space() {
    place_ = std::min(text_.find_first_not_of(" \t\r\n", place_), text_.size());
}

std::string_view XmlScanner::take_name() {
    const std::size_t end = std::min(text_.find_first_of(" \t\r\n/>=<\"'", place_), text_.size());
    const std::string_view name = text_.substr(place_, end - place_);
    place_ = end;
    return name;
}

XmlToken XmlScanner::next() {
    XmlToken token;
    if (over_) return token;
    if (close_next_) {
        close_next_ = false;
        token.kind = XmlToken::Kind::kEnd;
        token.name = open_.back();
        open_.pop_back();
        return token;
    }
    while (true) {
        place_ = std::min(text_.find('<', place_), text_.size());
        const std::string_view rest = text_.substr(place_);
        if (rest.empty()) break;
        if (rest.starts_with("<?")) {
            if (!skip_to("?>")) return fault("a processing instruction is never closed");
        } else if (rest.starts_with("<!--")) {
            place_ += 4;
            if (!skip_to("-->")) return fault("a comment is never closed");
        } else if (rest.starts_with("<![CDATA[")) {
            if (!skip_to("]]>")) return fault("a CDATA section is never closed");
        } else if (rest.starts_with("<!")) {
            return fault("a document type or other declaration is refused: nothing is expanded here");
        } else {
            return rest.starts_with("</") ? end_element() : start_element();
        }
    }
    over_ = true;
    if (!open_.empty()) return fault("element '" + printable(open_.back()) + "' is never closed");
    if (!seen_element_) return fault("no element in it");
    return token;
}

XmlToken XmlScanner::start_element() {
    XmlToken token;
    token.kind = XmlToken::Kind::kStart;
    ++place_;
    token.name = take_name();
    if (token.name.empty()) return fault("a '<' that starts no element");
    while (true) {
        skip_space();
        const std::string_view rest = text_.substr(place_);
        if (rest.starts_with("/>") || rest.starts_with('>')) {
            close_next_ = rest.front() == '/';
            place_ += close_next_ ? 2 : 1;
            break;
        }
        if (std::string problem = read_attribute(token); !problem.empty()) {
            return fault("element '" + printable(token.name) + "': " + problem);
        }
    }
    open_.push_back(token.name);
    seen_element_ = true;
    if (open_.size() > kDeepest) return fault("elements nest deeper than " + std::to_string(kDeepest));
    return token;
}

std::string XmlScanner::read_attribute(XmlToken& token) {
    const std::string_view name = take_name();
    if (name.empty()) return "expected an attribute, '>' or '/>'";
    skip_space();
    if (!text_.substr(place_).starts_with('=')) return "attribute '" + printable(name) + "' has no value";
    ++place_;
    skip_space();
    const std::string_view rest = text_.substr(place_);
    if (!rest.starts_with('"') && !rest.starts_with('\''))
        return "attribute '" + printable(name) + "' has no quotes";
    const std::size_t end = rest.find(rest.front(), 1);
    if (end == std::string_view::npos)
        return "the quotes of attribute '" + printable(name) + "' are never closed";
    if (token.attributes.size() >= kMostAttributes) return "too many attributes";
    token.attributes.emplace(name, decoded(rest.substr(1, end - 1)));
    place_ += end + 1;
    return {};
}

XmlToken XmlScanner::end_element() {
    place_ += 2;
    XmlToken token;
    token.kind = XmlToken::Kind::kEnd;
    token.name = take_name();
    skip_space();
    if (!text_.substr(place_).starts_with('>'))
        return fault("the end of element '" + printable(token.name) + "' has no '>'");
    ++place_;
    if (open_.empty() || open_.back() != token.name) {
        return fault("the end of element '" + printable(token.name) + "' has no start");
    }
    open_.pop_back();
    return token;
}

}  // namespace nsa::language
