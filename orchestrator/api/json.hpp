// The JSON of every value that crosses the API, in one place for the server, the client and `-o json`.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/views.hpp"
#include "language/result.hpp"

namespace nsa::api {

// Bytes that are not UTF-8 (a remote host may say anything) become U+FFFD: the text is always valid JSON.
std::string to_json_text(const SubmitRequest& value);
std::string to_json_text(const SubmitReply& value);
std::string to_json_text(const RunView& value);
std::string to_json_text(const std::vector<RunView>& value);
std::string to_json_text(const ReportView& value);
std::string to_json_text(const std::vector<ArtifactView>& value);
std::string to_json_text(const InstanceRequest& value);
std::string to_json_text(const InstanceView& value);
std::string to_json_text(const std::vector<InstanceView>& value);
std::string to_json_text(const VersionView& value);
std::string to_json_text(const Error& value);

// For each type above but Error. kProtocol: where in the document and what was expected.
template <class T>
Result<T> from_json_text(std::string_view text);

// Nothing when the text is no error document.
std::optional<Error> error_from_json_text(std::string_view text);

}  // namespace nsa::api
