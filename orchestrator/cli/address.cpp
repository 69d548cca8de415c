#include "cli/address.hpp"

#include <charconv>

#include "engines/host_key.hpp"

namespace nsa::cli {
namespace {

Error wrong(std::string_view what, std::string_view text) {
    return fail(ErrorCode::kUsage, std::string(what) + "; write it as USER@HOST[:PORT], or 'local'",
                "address " + std::string(text));
}

}  // namespace

Result<Address> parse_address(std::string_view text) {
    Address address;
    const std::size_t at = text.find('@');
    if (at == std::string_view::npos) return wrong("there is no USER@", text);
    address.user = text.substr(0, at);
    std::string_view rest = text.substr(at + 1);
    std::string_view port;
    if (rest.starts_with('[')) {
        const std::size_t close = rest.find(']');
        if (close == std::string_view::npos) return wrong("the ']' is missing", text);
        address.host = rest.substr(1, close - 1);
        rest.remove_prefix(close + 1);
        if (!rest.empty() && !rest.starts_with(':')) return wrong("only :PORT may follow the ']'", text);
        port = rest.empty() ? rest : rest.substr(1);
        if (!rest.empty() && port.empty()) return wrong("the port is missing", text);
    } else {
        const std::size_t colon = rest.find(':');
        if (colon != rest.rfind(':')) return wrong("an IPv6 address must be in brackets", text);
        address.host = rest.substr(0, colon);
        if (colon != std::string_view::npos) {
            port = rest.substr(colon + 1);
            if (port.empty()) return wrong("the port is missing", text);
        }
    }
    if (!engines::is_safe_host_or_user(address.user)) return wrong("this user name is not allowed", text);
    if (!engines::is_safe_host_or_user(address.host)) return wrong("this host name is not allowed", text);
    if (port.empty()) return address;
    const auto [end, problem] = std::from_chars(port.data(), port.data() + port.size(), address.port);
    if (problem != std::errc{} || end != port.data() + port.size() || address.port < 1 ||
        address.port > 65'535)
        return wrong("the port must be 1 to 65535", text);
    return address;
}

}  // namespace nsa::cli
