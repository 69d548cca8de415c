// JSON of the control messages. Each message has one function that writes its fields and one that reads them,
// side by side; fields that a reader does not know are ignored, so that a version may add some.
#include "protocol/messages.hpp"

#include <algorithm>
#include <array>
#include <optional>

#include "protocol/fields.hpp"

namespace nsa::protocol {
namespace {

namespace json = boost::json;

constexpr std::array kRemoteStates{RemoteState::kRunning, RemoteState::kFinished,
                                   RemoteState::kSupervisorDead, RemoteState::kHostRebooted,
                                   RemoteState::kUnknownRun};
constexpr std::array kErrorCodes{ErrorCode::kInvalidSpec, ErrorCode::kUsage,          ErrorCode::kNotFound,
                                 ErrorCode::kConflict,    ErrorCode::kHostKeyRefused, ErrorCode::kAuthRefused,
                                 ErrorCode::kRefused,     ErrorCode::kUnreachable,    ErrorCode::kTimeout,
                                 ErrorCode::kProtocol,    ErrorCode::kNoSpace,        ErrorCode::kCorrupt,
                                 ErrorCode::kInternal};

template <class Enum, std::size_t N>
void read_enum(Fields& fields, std::string_view name, const std::array<Enum, N>& known, Enum& out) {
    std::string text;
    fields.read(name, text);
    if (fields.failed()) return;
    const auto found = std::find_if(known.begin(), known.end(), [&](Enum e) { return to_string(e) == text; });
    if (found == known.end()) {
        fields.refuse(name, "has the unknown value '" + text.substr(0, 64) + "'");
    } else {
        out = *found;
    }
}

bool is_sha256(std::string_view text) {
    return text.size() == 64 && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

void require_safe_path(Fields& fields, std::string_view name, std::string_view path) {
    if (!fields.failed() && !language::is_safe_relative_path(path)) {
        fields.refuse(name,
                      "is not a safe relative path (no absolute path, '..', empty or control characters)");
    }
}

template <class T>
json::object map_to_json(const std::map<std::string, T>& map) {
    json::object object;
    for (const auto& [key, value] : map)
        object[key] = value;
    return object;
}

json::object write(const RunKey& m) {
    return {{"run", m.run.value}, {"attempt", m.attempt.value}};
}
void read(Fields& f, RunKey& m) {
    f.read("run", m.run.value);
    f.read("attempt", m.attempt.value);
    if (!f.failed() && !is_valid_run_id(m.run)) f.refuse("run", "is not a run id: [a-z0-9][a-z0-9-]{0,63}");
    if (!f.failed() && m.attempt.value < 1) f.refuse("attempt", "counts from 1");
}

json::object write(const Hello& m) {
    return {{"protocol", m.protocol}, {"client", m.client}};
}
void read(Fields& f, Hello& m) {
    f.read("protocol", m.protocol);
    f.read("client", m.client);
}

json::object write(const HelloReply& m) {
    return {{"protocol", m.protocol},
            {"worker_version", m.worker_version},
            {"hostname", m.hostname},
            {"boot_id", m.boot_id},
            {"home", m.home},
            {"disk_free_bytes", m.disk_free_bytes},
            {"inodes_free", m.inodes_free}};
}
void read(Fields& f, HelloReply& m) {
    f.read("protocol", m.protocol);
    f.read("worker_version", m.worker_version);
    f.read("hostname", m.hostname);
    f.read("boot_id", m.boot_id);
    f.read("home", m.home);
    f.read("disk_free_bytes", m.disk_free_bytes);
    f.read("inodes_free", m.inodes_free);
}

json::object write(const ProbeReply& m) {
    return {{"facts", map_to_json(m.facts)}};
}
void read(Fields& f, ProbeReply& m) {
    f.read("facts", m.facts);
}

json::object write(const Put& m) {
    return {{"path", m.path},
            {"size", m.size},
            {"sha256", m.sha256.value},
            {"executable", m.executable},
            {"only_check", m.only_check}};
}
void read(Fields& f, Put& m) {
    f.read("path", m.path);
    f.read("size", m.size);
    f.read("sha256", m.sha256.value);
    f.read("executable", m.executable);
    f.read("only_check", m.only_check);
    require_safe_path(f, "path", m.path);
    if (!f.failed() && !is_sha256(m.sha256.value)) f.refuse("sha256", "is not 64 lowercase hex digits");
}

json::object write(const PutReply& m) {
    return {{"existed", m.existed}};
}
void read(Fields& f, PutReply& m) {
    f.read("existed", m.existed);
}

json::object write(const Launch& m) {
    json::object object = write(m.run);
    object["spec_yaml"] = m.spec_yaml;
    object["plan_json"] = m.plan_json;
    object["tools"] = map_to_json(m.tools);
    return object;
}
void read(Fields& f, Launch& m) {
    read(f, m.run);
    f.read("spec_yaml", m.spec_yaml);
    f.read("plan_json", m.plan_json);
    f.read("tools", m.tools);
    for (const auto& [name, path] : m.tools) {
        if (!path.starts_with('/') || path.find('\0') != std::string::npos) {
            f.refuse("tools", "the path of '" + name.substr(0, 64) + "' is not absolute");
        }
    }
}

json::object write(const LaunchReply& m) {
    return {{"already", m.already}, {"pid", m.pid}, {"start_ticks", m.start_ticks}, {"boot_id", m.boot_id}};
}
void read(Fields& f, LaunchReply& m) {
    f.read("already", m.already);
    f.read("pid", m.pid);
    f.read("start_ticks", m.start_ticks);
    f.read("boot_id", m.boot_id);
}

json::object write(const Attach& m) {
    json::object object = write(m.run);
    object["from_seq"] = m.from_seq;
    object["log_offsets"] = map_to_json(m.log_offsets);
    object["credit"] = m.credit;
    return object;
}
void read(Fields& f, Attach& m) {
    read(f, m.run);
    f.read("from_seq", m.from_seq);
    f.read("log_offsets", m.log_offsets);
    f.read("credit", m.credit);
    if (!f.failed() && m.from_seq < 1) f.refuse("from_seq", "counts from 1");
    for (const auto& [path, offset] : m.log_offsets)
        require_safe_path(f, "log_offsets", path);
}

json::object write(const AttachEnd& m) {
    return {{"state", to_string(m.state)}, {"last_seq", m.last_seq}};
}
void read(Fields& f, AttachEnd& m) {
    read_enum(f, "state", kRemoteStates, m.state);
    f.read("last_seq", m.last_seq);
}

json::object write(const FetchItem& m) {
    return {{"path", m.path}, {"offset", m.offset}};
}
void read(Fields& f, FetchItem& m) {
    f.read("path", m.path);
    f.read("offset", m.offset);
    require_safe_path(f, "path", m.path);
}

json::object write(const RunListing& m) {
    json::object object = write(m.run);
    object["state"] = to_string(m.state);
    object["last_seq"] = m.last_seq;
    return object;
}
void read(Fields& f, RunListing& m) {
    read(f, m.run);
    read_enum(f, "state", kRemoteStates, m.state);
    f.read("last_seq", m.last_seq);
}

// Below the element types: lookup from a template finds only what stands before it.
template <class T>
void read_all(Fields& f, std::string_view name, const json::array& array, std::vector<T>& out) {
    out.reserve(array.size());
    for (const auto& element : array) {
        const std::string place = std::string{name} + "[" + std::to_string(out.size()) + "]";
        if (!element.is_object()) return f.refuse(place, "has the wrong type, expected an object");
        Fields fields{element.get_object(), f.message() + "." + place};
        read(fields, out.emplace_back());
        f.absorb(fields);
        if (f.failed()) return;
    }
}

json::object write(const Fetch& m) {
    json::object object = write(m.run);
    json::array items;
    items.reserve(m.items.size());
    for (const auto& item : m.items)
        items.push_back(write(item));
    object["items"] = std::move(items);
    object["credit"] = m.credit;
    return object;
}
void read(Fields& f, Fetch& m) {
    read(f, m.run);
    if (const auto* items = f.array("items")) read_all(f, "items", *items, m.items);
    f.read("credit", m.credit);
}

json::object write(const FetchEnd& m) {
    return {{"missing", json::value_from(m.missing)}};
}
void read(Fields& f, FetchEnd& m) {
    const auto* missing = f.array("missing");
    if (missing == nullptr) return;
    for (const auto& path : *missing) {
        if (!path.is_string()) return f.refuse("missing", "holds something that is not a string");
        m.missing.emplace_back(json::value_to<std::string>(path));
    }
}

json::object write(const CancelReply& m) {
    return {{"state", to_string(m.state)}};
}
void read(Fields& f, CancelReply& m) {
    read_enum(f, "state", kRemoteStates, m.state);
}

json::object write(const std::vector<RunListing>& m) {
    json::array runs;
    for (const auto& listing : m)
        runs.push_back(write(listing));
    return {{"runs", std::move(runs)}};
}
void read(Fields& f, std::vector<RunListing>& m) {
    if (const auto* runs = f.array("runs")) read_all(f, "runs", *runs, m);
}

json::object write(const Error& m) {
    return {{"code", to_string(m.code)}, {"text", m.text}, {"where", m.where}};
}
void read(Fields& f, Error& m) {
    read_enum(f, "code", kErrorCodes, m.code);
    f.read("text", m.text);
    f.read("where", m.where);
}

struct Credit {
    std::uint64_t bytes = 0;
};
void read(Fields& f, Credit& m) {
    f.read("bytes", m.bytes);
}

// Fills `message`; the error, if any. Not a Result: Result<Error> could not tell its two sides apart.
template <class Message>
std::optional<Error> parse(std::string_view text, std::string name, Message& message) {
    boost::system::error_code bad;
    const json::value value = json::parse(text, bad);
    if (bad) return fail(ErrorCode::kProtocol, "is not JSON: " + bad.message(), std::move(name));
    if (!value.is_object()) return fail(ErrorCode::kProtocol, "is not a JSON object", std::move(name));
    Fields fields{value.get_object(), std::move(name)};
    read(fields, message);
    if (fields.failed()) return fields.error();
    return std::nullopt;
}

template <class Message>
struct NameOf;  // of every message that is decoded; a forgotten one does not compile

}  // namespace

std::string_view to_string(RemoteState state) {
    switch (state) {
        case RemoteState::kRunning:
            return "running";
        case RemoteState::kFinished:
            return "finished";
        case RemoteState::kSupervisorDead:
            return "supervisor_dead";
        case RemoteState::kHostRebooted:
            return "host_rebooted";
        case RemoteState::kUnknownRun:
            return "unknown_run";
    }
    return "?";
}

template <class Message>
Result<Message> decode(std::string_view text) {
    Message message;
    if (auto error = parse(text, std::string{NameOf<Message>::kText}, message)) return *std::move(error);
    return message;
}

#define NSA_MESSAGE(Type)                                \
    namespace {                                          \
    template <>                                          \
    struct NameOf<Type> {                                \
        static constexpr std::string_view kText = #Type; \
    };                                                   \
    }                                                    \
    std::string encode(const Type& m) {                  \
        return json::serialize(write(m));                \
    }                                                    \
    template Result<Type> decode<Type>(std::string_view);
NSA_MESSAGE(Hello)
NSA_MESSAGE(HelloReply)
NSA_MESSAGE(ProbeReply)
NSA_MESSAGE(Put)
NSA_MESSAGE(PutReply)
NSA_MESSAGE(Launch)
NSA_MESSAGE(LaunchReply)
NSA_MESSAGE(Attach)
NSA_MESSAGE(AttachEnd)
NSA_MESSAGE(Fetch)
NSA_MESSAGE(FetchEnd)
NSA_MESSAGE(RunKey)
NSA_MESSAGE(CancelReply)
NSA_MESSAGE(std::vector<RunListing>)
#undef NSA_MESSAGE

std::string encode(const Error& error) {
    return json::serialize(write(error));
}
Error decode_error(std::string_view text) {
    Error error;
    if (auto unreadable = parse(text, "Error", error)) return *std::move(unreadable);
    return error;
}

std::string encode_credit(std::uint64_t bytes) {
    return R"({"bytes":)" + std::to_string(bytes) + "}";
}
Result<std::uint64_t> decode_credit(std::string_view text) {
    Credit credit;
    if (auto error = parse(text, "Credit", credit)) return *std::move(error);
    return credit.bytes;
}

}  // namespace nsa::protocol
