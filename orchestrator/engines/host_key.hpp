// SSH host keys as OpenSSH writes them. Values only; the ssh engine compares them, people read the
// fingerprint.
#pragma once

#include <string>
#include <string_view>

#include "language/result.hpp"

namespace nsa::engines {

struct HostKey {
    std::string type;    // "ssh-ed25519"
    std::string base64;  // of the key blob, padded
    bool operator==(const HostKey&) const = default;
};

// "type base64 [comment]", as in known_hosts after the host names or in a .pub file. kUsage says what is
// wrong: not base64, unknown type, or a blob that names another type than the text.
Result<HostKey> parse_host_key(std::string_view text);
std::string to_string(const HostKey& key);    // "ssh-ed25519 AAAA..."
std::string fingerprint(const HostKey& key);  // "SHA256:...", as `ssh-keygen -l` prints it

// Names that may reach a socket or a message: [A-Za-z0-9][A-Za-z0-9._:-]*, at most 253 bytes. Never an
// option.
bool is_safe_host_or_user(std::string_view name);

}  // namespace nsa::engines
