#include "language/record.hpp"

#include "language/codec.hpp"
#include "language/json_text.hpp"

namespace nsa::language {

template <class Visitor, OneOf<Measurement> Self>
void visit_fields(Visitor& v, Self& self) {
    v.required("metric", self.metric);
    v.required("value", self.value);
    v.optional("unit", self.unit);
    v.optional("labels", self.labels);
    v.optional("sample", self.sample);
}

template <class Visitor, OneOf<Fact> Self>
void visit_fields(Visitor& v, Self& self) {
    v.required("fact", self.name);
    v.required("value", self.value);
    v.optional("labels", self.labels);
}

template <class Visitor, OneOf<Skip> Self>
void visit_fields(Visitor& v, Self& self) {
    v.required("skip", self.reason);
}

json::value to_json(const Record& record) {
    return std::visit([]<class T>(const T& value) { return Codec<T>::write(value); }, record);
}

namespace {

template <class T>
Result<Record> read_as(const json::value& value) {
    Result<T> read = read_document<T>(value, "record");
    if (!read) return read.error();
    return Record(std::move(*read));
}

}  // namespace

Result<Record> record_from_json(const json::value& value) {
    if (const json::object* object = value.if_object()) {
        if (object->contains("metric")) return read_as<Measurement>(value);
        if (object->contains("fact")) return read_as<Fact>(value);
        if (object->contains("skip")) return read_as<Skip>(value);
    }
    return fail(ErrorCode::kCorrupt, "expected an object with a field \"metric\", \"fact\" or \"skip\"",
                "record");
}

ParsedRecords parse_record_lines(std::string_view text) {
    ParsedRecords parsed;
    for (int number = 1; !text.empty(); ++number) {
        const std::size_t end = text.find('\n');
        std::string_view line = text.substr(0, end);
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
        if (line.ends_with('\r')) line.remove_suffix(1);
        if (line.find_first_not_of(" \t") == std::string_view::npos) continue;
        const Result<json::value> value = parse_json(line);
        Result<Record> record = value ? record_from_json(*value) : Result<Record>(value.error());
        if (record) {
            parsed.records.push_back(std::move(*record));
        } else {
            const std::string where = "line " + std::to_string(number);
            parsed.errors.push_back(fail(record.error().code, record.error().describe(), where));
        }
    }
    return parsed;
}

}  // namespace nsa::language
