#include "instances/config.hpp"

#include <fmt/format.h>

#include "engines/host_key.hpp"
#include "engines/plain_path.hpp"

namespace nsa::instances {
namespace {

using engines::InstanceConfig;
using engines::is_plain_path;
using engines::PathRoot;
using language::EngineKind;

constexpr std::string_view kLocalName = "local";

Error wrong(const InstanceConfig& config, std::string_view field, std::string text) {
    return fail(ErrorCode::kUsage, fmt::format("{}: {}", field, text), "instance " + config.name.value);
}

Result<void> validate_ssh(const InstanceConfig& config) {
    constexpr std::string_view kNameRule =
        "is no plain name; expected letters, digits and . _ : - with a letter or digit first";
    if (!engines::is_safe_host_or_user(config.host)) {
        return wrong(config, "host", fmt::format("\"{}\" {}", config.host, kNameRule));
    }
    if (!engines::is_safe_host_or_user(config.user)) {
        return wrong(config, "user", fmt::format("\"{}\" {}", config.user, kNameRule));
    }
    if (config.port < 1 || config.port > 65535) {
        return wrong(config, "port", fmt::format("{} is not within 1..65535", config.port));
    }
    if (config.key_file.empty() || config.key_file.front() != '/') {
        return wrong(
            config, "key_file",
            "expected the absolute path of a private key; public-key authentication is the only one");
    }
    if (config.host_key.empty()) {
        return wrong(config, "host_key", "missing; the host's key is pinned before the first connection");
    }
    const Result<engines::HostKey> key = engines::parse_host_key(config.host_key);
    if (!key) return wrong(config, "host_key", key.error().text);
    return {};
}

Result<void> validate_local(const InstanceConfig& config) {
    const bool remote_fields =
        !config.host.empty() || !config.user.empty() || !config.key_file.empty() || !config.host_key.empty();
    if (remote_fields)
        return wrong(config, "engine", "a local instance has no host, user, key_file or host_key");
    return {};
}

}  // namespace

Result<void> validate(const InstanceConfig& config) {
    if (!is_valid_instance_name(config.name))
        return wrong(config, "name", "expected " + std::string(kInstanceNameRule));
    const bool local = config.engine == EngineKind::kLocal;
    if (!config.nsa_core.empty() && !is_plain_path(config.nsa_core, PathRoot::kAbsolute)) {
        return wrong(config, "nsa_core",
                     "expected the absolute path of nsa-core on the host, in plain characters");
    }
    if (!config.worker_home.empty() &&
        !is_plain_path(config.worker_home, local ? PathRoot::kAbsolute : PathRoot::kAbsoluteOrHome)) {
        return wrong(
            config, "worker_home",
            local ? "expected an absolute path in plain characters"
                  : "expected an absolute path on the host or one that starts with ~/, in plain characters");
    }
    if (!engines::is_plain_path_list(config.tool_path)) {
        return wrong(config, "path",
                     "expected absolute folders on the host separated by ':', in plain characters");
    }
    if (local) return validate_local(config);
    if (config.engine != EngineKind::kSsh) return wrong(config, "engine", "expected \"ssh\" or \"local\"");
    return validate_ssh(config);
}

InstanceConfig local_instance() {
    InstanceConfig config;
    config.name = InstanceName{std::string{kLocalName}};
    config.engine = EngineKind::kLocal;
    return config;
}

std::string address(const InstanceConfig& config) {
    if (config.engine == EngineKind::kLocal) return "this machine";
    return fmt::format("{}@{}:{}", config.user, config.host, config.port);
}

}  // namespace nsa::instances
