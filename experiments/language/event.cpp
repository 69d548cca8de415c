#include "language/event.hpp"

#include <algorithm>

#include "language/codec.hpp"
#include "language/hash.hpp"
#include "language/json_text.hpp"

namespace nsa::language {

template <class Visitor, OneOf<ProcessEnd> Self>
void visit_fields(Visitor& v, Self& self) {
    v.required("kind", self.kind);
    v.optional("exit_code", self.exit_code);
    v.optional("signal", self.signal);
    v.optional("core_dumped", self.core_dumped);
    v.optional("detail", self.detail);
}

template <class Visitor, OneOf<RunStarted> Self>
void visit_fields(Visitor& v, Self& self) {
    v.required("pid", self.pid);
    v.required("start_ticks", self.start_ticks);
    v.required("boot_id", self.boot_id);
    v.required("host", self.host);
    v.required("worker_version", self.worker_version);
}

template <class Visitor, OneOf<HostProbed> Self>
void visit_fields(Visitor& v, Self& self) {
    v.required("facts", self.facts);
}

template <class Visitor, OneOf<SetupFinished> Self>
void visit_fields(Visitor& v, Self& self) {
    v.required("index", self.index);
    v.required("end", self.end);
    v.required("seconds", self.seconds);
    v.optional("title", self.title);
}

template <class Visitor, OneOf<CaseStarted> Self>
void visit_fields(Visitor& v, Self& self) {
    v.required("key", self.key);
    v.required("pid", self.pid);
    v.required("argv", self.argv);
}

template <>
struct Codec<Record> : FunctionCodec<Record, record_from_json> {};

template <class Visitor, OneOf<CaseRecords> Self>
void visit_fields(Visitor& v, Self& self) {
    v.required("key", self.key);
    v.optional("records", self.records);
    v.optional("errors", self.errors);
}

template <class Visitor, OneOf<CaseFinished> Self>
void visit_fields(Visitor& v, Self& self) {
    v.required("key", self.key);
    v.required("end", self.end);
    v.required("seconds", self.seconds);
    v.optional("stdout_bytes", self.stdout_bytes);
    v.optional("stderr_bytes", self.stderr_bytes);
    v.optional("max_rss_kib", self.max_rss_kib);
}

template <class Visitor, OneOf<CaseBlocked> Self>
void visit_fields(Visitor& v, Self& self) {
    v.required("key", self.key);
    v.required("by", self.by);
}

template <class Visitor, OneOf<RunFinished> Self>
void visit_fields(Visitor& v, Self& self) {
    v.required("end", self.end);
    v.optional("detail", self.detail);
    v.required("manifest", self.manifest);
    v.required("files", self.files);
    v.required("bytes", self.bytes);
}

template <class Visitor, OneOf<ManifestEntry> Self>
void visit_fields(Visitor& v, Self& self) {
    v.required("path", self.path);
    v.required("size", self.size);
    v.required("sha256", self.sha256);
}

namespace {

template <std::size_t Index = 0>
ReadStatus read_body(std::string_view name, FieldReader& reader, EventBody& out) {
    if constexpr (Index == std::variant_size_v<EventBody>) {
        return ReadFailure{"event", "unknown event '" + std::string(name) + "'"};
    } else if (name == std::variant_alternative_t<Index, EventBody>::kName) {
        visit_fields(reader, out.emplace<Index>());
        return reader.take_failure();
    } else {
        return read_body<Index + 1>(name, reader, out);
    }
}

}  // namespace

std::string_view name_of(const EventBody& body) {
    return std::visit([](const auto& alternative) { return alternative.kName; }, body);
}

json::value to_json(const Event& event) {
    FieldWriter writer;
    writer.required("seq", event.seq);
    writer.required("wall_ms", event.wall_ms);
    writer.required("event", std::string(name_of(event.body)));
    std::visit([&](const auto& body) { visit_fields(writer, body); }, event.body);
    return writer.take();
}

Result<Event> event_from_json(const json::value& value) {
    if (!value.is_object()) return fail(ErrorCode::kCorrupt, "expected an object", "event");
    Event event;
    std::string name;
    FieldReader reader(value.get_object());
    reader.required("seq", event.seq);
    reader.required("wall_ms", event.wall_ms);
    reader.required("event", name);
    ReadStatus status = reader.take_failure();
    if (!status) status = read_body(name, reader, event.body);
    if (status) return fail(ErrorCode::kCorrupt, status->text, "event." + status->path);
    return event;
}

std::string to_line(const Event& event) {
    return json::serialize(to_json(event)) + "\n";
}

Result<Event> event_from_line(std::string_view line) {
    if (line.ends_with('\n')) line.remove_suffix(1);
    const Result<json::value> value = parse_json(line);
    if (!value) return fail(ErrorCode::kCorrupt, value.error().text, "event line, " + value.error().where);
    return event_from_json(*value);
}

json::value to_json(const Manifest& manifest) {
    return Codec<Manifest>::write(manifest);
}

Result<Manifest> manifest_from_json(const json::value& value) {
    Result<Manifest> manifest = read_document<Manifest>(value, "manifest");
    if (!manifest) return manifest;
    for (const ManifestEntry& entry : *manifest) {
        if (!is_safe_relative_path(entry.path)) {
            return fail(ErrorCode::kCorrupt,
                        "a path that leaves the run directory or cannot name a file there",
                        "manifest entry " + json::serialize(json::value(entry.path)));
        }
    }
    return manifest;
}

std::string case_folder(const CaseKey& key) {
    std::string folder = key.value;
    for (char& c : folder) {
        const bool plain = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
                           c == '.' || c == '_' || c == '-';
        if (!plain) c = '_';
    }
    // A name must also fit a file system and not be a dot folder.
    constexpr std::size_t kLongest = 200;
    const bool cut = folder.size() > kLongest || folder.empty() || folder.front() == '.';
    if (cut) folder = "_" + folder.substr(0, kLongest);
    if (folder != key.value) folder += "-" + sha256_of(key.value).value.substr(0, 8);
    return folder;
}

bool is_safe_relative_path(std::string_view path) {
    constexpr std::size_t kMostComponents = 32, kLongestComponent = 255;
    for (std::size_t count = 1; count <= kMostComponents; ++count) {
        const std::size_t slash = path.find('/');
        const std::string_view component = path.substr(0, slash);
        const bool has_control = std::any_of(component.begin(), component.end(), [](char c) {
            return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
        });
        if (component.empty() || component == "." || component == ".." || has_control ||
            component.size() > kLongestComponent) {
            return false;
        }
        if (slash == std::string_view::npos) return true;
        path.remove_prefix(slash + 1);
    }
    return false;
}

}  // namespace nsa::language
