#include "engines/host_key.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>

#include "language/hash.hpp"

namespace nsa::engines {
namespace {

// The types that the ssh engine can negotiate. Certificates and security-key types are not host keys here.
constexpr std::array<std::string_view, 5> kTypes{"ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384",
                                                 "ecdsa-sha2-nistp521", "ssh-rsa"};
constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::size_t kMaxText = 16 << 10;  // an RSA key of 16384 bits takes 2.8 KB

std::string base64(std::string_view bytes, bool padded) {
    std::string out;
    for (std::size_t i = 0; i < bytes.size(); i += 3) {
        std::uint32_t group = 0;
        const std::size_t count = std::min<std::size_t>(3, bytes.size() - i);
        for (std::size_t k = 0; k < 3; ++k) {
            group = group << 8 | (k < count ? static_cast<unsigned char>(bytes[i + k]) : 0U);
        }
        for (std::size_t k = 0; k <= count; ++k)
            out += kDigits[group >> (18 - 6 * k) & 63U];
        if (padded) out.append(3 - count, '=');
    }
    return out;
}

// Strict: padded, canonical.
std::optional<std::string> unbase64(std::string_view text) {
    if (text.empty() || text.size() % 4 != 0) return std::nullopt;
    const std::size_t digits = text.find_last_not_of('=') + 1;
    std::string out;
    std::uint32_t bits = 0;
    int held = 0;
    for (const char c : text.substr(0, digits)) {
        const std::size_t digit = kDigits.find(c);
        if (digit == std::string_view::npos) return std::nullopt;
        bits = bits << 6 | static_cast<std::uint32_t>(digit);
        held += 6;
        if (held >= 8) {
            held -= 8;
            out += static_cast<char>(bits >> held & 255U);
        }
    }
    if (base64(out, true) != text) return std::nullopt;
    return out;
}

// A blob begins with its type as an SSH string: u32 size, big-endian, then the bytes.
bool names_type(std::string_view blob, std::string_view type) {
    if (blob.size() < 4 + type.size()) return false;
    std::uint32_t size = 0;
    for (std::size_t i = 0; i < 4; ++i)
        size = size << 8 | static_cast<unsigned char>(blob[i]);
    return size == type.size() && blob.substr(4, size) == type;
}

std::string_view take_word(std::string_view& text) {
    constexpr std::string_view kBlank = " \t\r\n";
    text.remove_prefix(std::min(text.find_first_not_of(kBlank), text.size()));
    const std::string_view word = text.substr(0, text.find_first_of(kBlank));
    text.remove_prefix(word.size());
    return word;
}

Error bad_key(std::string text) {
    return fail(ErrorCode::kUsage,
                std::move(text) +
                    "; expected a line like \"ssh-ed25519 AAAAC3Nz...\", as in the host's "
                    "/etc/ssh/ssh_host_ed25519_key.pub",
                "host key");
}

}  // namespace

Result<HostKey> parse_host_key(std::string_view text) {
    if (text.size() > kMaxText) return bad_key("the text is longer than any key");
    const std::string_view type = take_word(text);
    const std::string_view encoded = take_word(text);
    if (type.empty()) return bad_key("it is empty");
    if (std::find(kTypes.begin(), kTypes.end(), type) == kTypes.end()) {
        return bad_key("unknown key type \"" + std::string{type.substr(0, 40)} + "\"");
    }
    const std::optional<std::string> blob = unbase64(encoded);
    if (!blob) return bad_key("the part after \"" + std::string{type} + "\" is not base64");
    if (!names_type(*blob, type)) return bad_key("the key inside is not of type " + std::string{type});
    return HostKey{std::string{type}, std::string{encoded}};
}

std::string to_string(const HostKey& key) {
    return key.type + " " + key.base64;
}

std::string fingerprint(const HostKey& key) {
    const std::string hex = sha256_of(unbase64(key.base64).value_or("")).value;
    std::string digest;
    for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
        digest += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
    }
    return "SHA256:" + base64(digest, false);
}

bool is_safe_host_or_user(std::string_view name) {
    const auto alnum = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    };
    if (name.empty() || name.size() > 253 || !alnum(name.front())) return false;
    return std::all_of(name.begin(), name.end(),
                       [&](char c) { return alnum(c) || c == '.' || c == '_' || c == ':' || c == '-'; });
}

}  // namespace nsa::engines
