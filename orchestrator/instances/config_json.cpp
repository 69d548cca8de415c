// InstanceConfig as the store keeps it: one JSON object, all fields always there.
#include <array>
#include <boost/json.hpp>

#include "instances/config.hpp"

namespace nsa::instances {
namespace json = boost::json;
namespace {

using engines::InstanceConfig;
using language::EngineKind;

struct TextField {
    std::string_view name;
    std::string InstanceConfig::*member;
};
constexpr std::array<TextField, 7> kTexts{{{"host", &InstanceConfig::host},
                                           {"user", &InstanceConfig::user},
                                           {"key_file", &InstanceConfig::key_file},
                                           {"host_key", &InstanceConfig::host_key},
                                           {"nsa_core", &InstanceConfig::nsa_core},
                                           {"worker_home", &InstanceConfig::worker_home},
                                           {"tool_path", &InstanceConfig::tool_path}}};
constexpr std::size_t kFieldCount = kTexts.size() + 3;  // name, engine, port

Error corrupt(std::string text) {
    return fail(ErrorCode::kCorrupt, std::move(text), "stored instance");
}

Result<std::string> text_of(const json::object& object, std::string_view name) {
    const json::value* value = object.if_contains(name);
    if (value == nullptr) return corrupt("field \"" + std::string{name} + "\" is missing");
    if (!value->is_string()) return corrupt("field \"" + std::string{name} + "\" is no text");
    return std::string{value->get_string()};
}

Result<int> port_of(const json::object& object) {
    const json::value* value = object.if_contains("port");
    if (value == nullptr || !value->is_int64())
        return corrupt("field \"port\" is missing or no whole number");
    const std::int64_t port = value->get_int64();
    if (port < 0 || port > 65535) return corrupt("field \"port\" is out of range");
    return static_cast<int>(port);
}

Result<EngineKind> engine_of(std::string_view text) {
    if (text == "local") return EngineKind::kLocal;
    if (text == "ssh") return EngineKind::kSsh;
    return corrupt("unknown engine \"" + std::string{text} + "\"");
}

}  // namespace

std::string to_json_text(const InstanceConfig& config) {
    json::object object;
    object["name"] = config.name.value;
    object["engine"] = config.engine == EngineKind::kLocal ? "local" : "ssh";
    object["port"] = config.port;
    for (const TextField& field : kTexts)
        object[field.name] = config.*field.member;
    return json::serialize(object);
}

Result<InstanceConfig> config_from_json_text(std::string_view text) {
    json::error_code error;
    const json::value value = json::parse(json::string_view{text.data(), text.size()}, error);
    if (error) return corrupt("no JSON: " + error.message());
    if (!value.is_object()) return corrupt("no JSON object");
    const json::object& object = value.get_object();

    InstanceConfig config;
    const Result<std::string> name = text_of(object, "name"), engine = text_of(object, "engine");
    if (!name) return name.error();
    if (!engine) return engine.error();
    config.name = InstanceName{*name};
    const Result<EngineKind> kind = engine_of(*engine);
    if (!kind) return kind.error();
    config.engine = *kind;
    const Result<int> port = port_of(object);
    if (!port) return port.error();
    config.port = *port;
    for (const TextField& field : kTexts) {
        const Result<std::string> member = text_of(object, field.name);
        if (!member) return member.error();
        config.*field.member = *member;
    }
    if (object.size() != kFieldCount) return corrupt("unknown fields; written by a newer version?");
    if (const Result<void> valid = validate(config); !valid) return corrupt(valid.error().describe());
    return config;
}

}  // namespace nsa::instances
