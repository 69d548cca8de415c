#include "api/json.hpp"

#include <algorithm>

#include "language/codec.hpp"
#include "language/json_text.hpp"
#include "language/utf8.hpp"
#include "language/working_tree_json.hpp"

// The words of ErrorCode are to_string's; read back by trying all.
template <>
struct nsa::language::Codec<nsa::ErrorCode> {
    static json::value write(ErrorCode code) { return json::string(to_string(code)); }
    static ReadStatus read(const json::value& value, ErrorCode& out) {
        for (int i = 0; i <= static_cast<int>(ErrorCode::kInternal); ++i) {
            out = static_cast<ErrorCode>(i);
            if (value == json::string(to_string(out))) return {};
        }
        return expected("the word of an error code", value);
    }
};

namespace nsa::api {

using language::OneOf;

template <class Visitor, OneOf<SubmitRequest> Self>
void visit_fields(Visitor& v, Self& self) {
    v.required("spec_yaml", self.spec_yaml);
    v.optional("file", self.file);
    v.optional("instance", self.instance);
    v.optional("idempotency_key", self.idempotency_key);
    v.optional("working_tree", self.working_tree);
}

template <class Visitor, OneOf<SubmitReply> Self>
void visit_fields(Visitor& v, Self& self) {
    v.required("run", self.run);
    v.required("existed", self.existed);
}

template <class Visitor, OneOf<CaseView> Self>
void visit_fields(Visitor& v, Self& self) {
    v.required("key", self.key);
    v.required("kind", self.kind);
    v.required("title", self.title);
    v.required("state", self.state);
    v.required("verdict", self.verdict);
    v.required("reason", self.reason);
    v.required("seconds", self.seconds);
    v.required("stdout_bytes", self.stdout_bytes);
    v.required("stderr_bytes", self.stderr_bytes);
}

template <class Visitor, OneOf<RunView> Self>
void visit_fields(Visitor& v, Self& self) {
    v.required("run", self.run);
    v.required("name", self.name);
    v.required("subject", self.subject);
    v.required("state", self.state);
    v.required("reason", self.reason);
    v.required("message", self.message);
    v.required("status", self.status);
    v.required("instance", self.instance);
    v.required("attempt", self.attempt.value);
    v.required("created_ms", self.created_ms);
    v.required("started_ms", self.started_ms);
    v.required("finished_ms", self.finished_ms);
    v.required("version", self.version);
    v.required("cases", self.cases);
    v.required("report_path", self.report_path);
}

template <class Visitor, OneOf<ReportView> Self>
void visit_fields(Visitor& v, Self& self) {
    v.required("run", self.run);
    v.required("version", self.version);
    v.required("markdown_path", self.markdown_path);
    v.required("html_path", self.html_path);
    v.required("json_path", self.json_path);
    v.required("status", self.status);
}

template <class Visitor, OneOf<ArtifactView> Self>
void visit_fields(Visitor& v, Self& self) {
    v.required("path", self.path);
    v.required("size", self.size);
    v.required("sha256", self.sha256);
    v.required("stored_at", self.stored_at);
}

template <class Visitor, OneOf<InstanceView> Self>
void visit_fields(Visitor& v, Self& self) {
    v.required("name", self.name);
    v.required("engine", self.engine);
    v.required("address", self.address);
    v.required("host_key_fingerprint", self.host_key_fingerprint);
    v.required("state", self.state);
    v.required("message", self.message);
    v.required("facts", self.facts);
    v.required("probed_ms", self.probed_ms);
}

template <class Visitor, OneOf<InstanceRequest> Self>
void visit_fields(Visitor& v, Self& self) {
    v.required("name", self.name);
    v.required("engine", self.engine);
    v.optional("host", self.host);
    v.optional("user", self.user);
    v.optional("key_file", self.key_file);
    v.optional("port", self.port, 22);
    v.optional("host_key", self.host_key);
    v.optional("nsa_core", self.nsa_core);
    v.optional("worker_home", self.worker_home);
    v.optional("tool_path", self.tool_path);
    v.optional("replace", self.replace);
}

template <class Visitor, OneOf<VersionView> Self>
void visit_fields(Visitor& v, Self& self) {
    v.required("version", self.version);
    v.required("commit", self.commit);
    v.required("state_dir", self.state_dir);
    v.required("pid", self.pid);
}

}  // namespace nsa::api

namespace nsa {

template <class Visitor, language::OneOf<Error> Self>
void visit_fields(Visitor& v, Self& self) {
    v.required("code", self.code);
    v.required("text", self.text);
    v.required("where", self.where);
}

}  // namespace nsa

namespace nsa::api {
namespace {

template <class T>
std::string write(const T& value) {
    return language::replace_invalid_utf8(boost::json::serialize(language::Codec<T>::write(value)));
}

struct FieldNames {
    template <class T>
    void required(std::string_view key, const T&) {
        names.push_back(key);
    }
    template <class T>
    void optional(std::string_view key, const T&, const std::type_identity_t<T>& = T{}) {
        names.push_back(key);
    }
    std::vector<std::string_view> names;
};

// A misspelt field of a request must not be ignored: it would silently not take effect.
template <class T>
std::optional<Error> unknown_field(const boost::json::value& value) {
    FieldNames known;
    const T blank{};
    visit_fields(known, blank);
    if (!value.is_object()) return std::nullopt;
    for (const boost::json::key_value_pair& entry : value.get_object()) {
        if (std::find(known.names.begin(), known.names.end(), std::string_view(entry.key())) ==
            known.names.end()) {
            std::string names;
            for (const std::string_view name : known.names)
                names += (names.empty() ? "" : ", ") + std::string(name);
            return fail(ErrorCode::kProtocol,
                        "unknown field '" + std::string(entry.key()) + "'; known are " + names, "JSON");
        }
    }
    return std::nullopt;
}

}  // namespace

std::string to_json_text(const SubmitRequest& value) {
    return write(value);
}
std::string to_json_text(const SubmitReply& value) {
    return write(value);
}
std::string to_json_text(const RunView& value) {
    return write(value);
}
std::string to_json_text(const std::vector<RunView>& value) {
    return write(value);
}
std::string to_json_text(const ReportView& value) {
    return write(value);
}
std::string to_json_text(const std::vector<ArtifactView>& value) {
    return write(value);
}
std::string to_json_text(const InstanceRequest& value) {
    return write(value);
}
std::string to_json_text(const InstanceView& value) {
    return write(value);
}
std::string to_json_text(const std::vector<InstanceView>& value) {
    return write(value);
}
std::string to_json_text(const VersionView& value) {
    return write(value);
}
std::string to_json_text(const Error& value) {
    return write(value);
}

template <class T>
Result<T> from_json_text(std::string_view text) {
    const auto value = language::parse_json(text);
    if (!value) return fail(ErrorCode::kProtocol, value.error().text, "JSON");
    if constexpr (std::same_as<T, SubmitRequest> || std::same_as<T, InstanceRequest>) {
        if (std::optional<Error> error = unknown_field<T>(*value)) return std::move(*error);
    }
    Result<T> read = language::read_document<T>(*value, "JSON");
    if (!read) return fail(ErrorCode::kProtocol, read.error().text, read.error().where);
    return read;
}

template Result<SubmitRequest> from_json_text(std::string_view);
template Result<SubmitReply> from_json_text(std::string_view);
template Result<RunView> from_json_text(std::string_view);
template Result<std::vector<RunView>> from_json_text(std::string_view);
template Result<ReportView> from_json_text(std::string_view);
template Result<std::vector<ArtifactView>> from_json_text(std::string_view);
template Result<InstanceRequest> from_json_text(std::string_view);
template Result<InstanceView> from_json_text(std::string_view);
template Result<std::vector<InstanceView>> from_json_text(std::string_view);
template Result<VersionView> from_json_text(std::string_view);

std::optional<Error> error_from_json_text(std::string_view text) {
    const auto value = language::parse_json(text);
    Error error;
    if (!value || language::Codec<Error>::read(*value, error)) return std::nullopt;
    return error;
}

}  // namespace nsa::api
