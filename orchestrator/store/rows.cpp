#include "store/rows.hpp"

#include <boost/json.hpp>

#include "language/json_text.hpp"
#include "store/impl.hpp"

namespace nsa::store {

namespace json = boost::json;

std::string_view to_string(CaseState state) {
    switch (state) {
        case CaseState::kWaiting:
            return "waiting";
        case CaseState::kRunning:
            return "running";
        case CaseState::kFinished:
            return "finished";
        case CaseState::kBlocked:
            return "blocked";
    }
    return "?";
}

std::string_view to_string(AttemptState state) {
    switch (state) {
        case AttemptState::kLaunching:
            return "launching";
        case AttemptState::kLaunched:
            return "launched";
        case AttemptState::kEnded:
            return "ended";
    }
    return "?";
}

std::string json_of(const std::map<std::string, std::string>& texts) {
    json::object object;
    object.reserve(texts.size());
    for (const auto& [key, value] : texts)
        object.emplace(key, value);
    return json::serialize(object);
}

std::string json_of(const std::vector<std::string>& texts) {
    return json::serialize(json::array(texts.begin(), texts.end()));
}

Result<std::map<std::string, std::string>> text_map_of(std::string_view text) {
    Result<json::value> parsed = language::parse_json(text);
    if (!parsed) return parsed.error();
    std::map<std::string, std::string> made;
    if (!parsed->is_object()) return fail(ErrorCode::kCorrupt, "expected a JSON object", "database");
    for (const json::key_value_pair& entry : parsed->get_object()) {
        if (!entry.value().is_string()) return fail(ErrorCode::kCorrupt, "expected texts", "database");
        made.emplace(entry.key(), entry.value().get_string());
    }
    return made;
}

Result<std::vector<std::string>> text_list_of(std::string_view text) {
    Result<json::value> parsed = language::parse_json(text);
    if (!parsed) return parsed.error();
    std::vector<std::string> made;
    if (!parsed->is_array()) return fail(ErrorCode::kCorrupt, "expected a JSON list", "database");
    for (const json::value& item : parsed->get_array()) {
        if (!item.is_string()) return fail(ErrorCode::kCorrupt, "expected texts", "database");
        made.emplace_back(item.get_string());
    }
    return made;
}

}  // namespace nsa::store
