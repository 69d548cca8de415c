// JSON both ways from one description per struct, so that the writer and the reader cannot drift apart:
//   template <class Visitor, OneOf<Waiver> Self>
//   void visit_fields(Visitor& v, Self& self) { v.required("owner", self.owner); ... }
// For .cpp files alone, of this box and of api/json.cpp: it pulls in Boost.JSON.
#pragma once

#include <boost/json.hpp>
#include <cmath>
#include <concepts>
#include <map>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include "language/ids.hpp"
#include "language/names.hpp"
#include "language/result.hpp"
#include "language/spec.hpp"

namespace nsa::language {

namespace json = boost::json;

// Self is Struct or const Struct: one description reads and writes.
template <class Self, class Struct>
concept OneOf = std::same_as<std::remove_const_t<Self>, Struct>;

// What kept a value from being read: where in the document, and what was expected.
struct ReadFailure {
    std::string path, text;

    ReadFailure under(std::string_view key) && {
        path = path.empty() || path.front() == '[' ? std::string(key) + path : std::string(key) + "." + path;
        return std::move(*this);
    }
};
using ReadStatus = std::optional<ReadFailure>;  // empty: read

inline ReadStatus expected(std::string_view what, const json::value& found) {
    return ReadFailure{"", "expected " + std::string(what) + ", found a value of type " +
                               std::string(to_string(found.kind()))};
}

template <class T>
struct Codec;

class FieldWriter {
  public:
    template <class T>
    void required(std::string_view key, const T& value) {
        object_.emplace(key, Codec<T>::write(value));
    }
    // Left out when it equals `absent`, which a reader puts back.
    template <class T>
    void optional(std::string_view key, const T& value, const std::type_identity_t<T>& absent = T{}) {
        if (!(value == absent)) required(key, value);
    }
    json::object take() { return std::move(object_); }

  private:
    json::object object_;
};

// Stops at the first failure; unknown fields are ignored: a newer writer may add some.
class FieldReader {
  public:
    explicit FieldReader(const json::object& object) : object_(object) {}

    template <class T>
    void required(std::string_view key, T& out) {
        if (failure_) return;
        const json::value* value = object_.if_contains(key);
        if (value == nullptr) {
            failure_ = ReadFailure{std::string(key), "the field is missing"};
        } else if (ReadStatus status = Codec<T>::read(*value, out)) {
            failure_ = std::move(*status).under(key);
        }
    }
    template <class T>
    void optional(std::string_view key, T& out, const std::type_identity_t<T>& absent = T{}) {
        if (object_.contains(key)) {
            required(key, out);
        } else {
            out = absent;
        }
    }
    ReadStatus take_failure() { return std::move(failure_); }

  private:
    const json::object& object_;
    ReadStatus failure_;
};

template <>
struct Codec<bool> {
    static json::value write(bool value) { return value; }
    static ReadStatus read(const json::value& value, bool& out) {
        if (!value.is_bool()) return expected("true or false", value);
        out = value.get_bool();
        return {};
    }
};

template <std::integral T>
struct Codec<T> {
    static json::value write(T value) { return value; }
    static ReadStatus read(const json::value& value, T& out) {
        boost::system::error_code failed;
        out = value.is_number() ? value.to_number<T>(failed) : T{};
        if (!value.is_number() || failed) return expected("a whole number that fits", value);
        return {};
    }
};

// JSON has no NaN and no infinity: the texts "nan", "inf" and "-inf" stand for them.
template <>
struct Codec<double> {
    static json::value write(double value) {
        if (std::isnan(value)) return "nan";
        if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
        return value;
    }
    static ReadStatus read(const json::value& value, double& out) {
        if (value.is_number()) {
            out = value.to_number<double>();
        } else if (value == "nan") {
            out = std::nan("");
        } else if (value == "inf" || value == "-inf") {
            out = value == "inf" ? HUGE_VAL : -HUGE_VAL;
        } else {
            return expected(R"(a number, "nan", "inf" or "-inf")", value);
        }
        return {};
    }
};

template <>
struct Codec<std::string> {
    static json::value write(const std::string& value) { return json::string(value); }
    static ReadStatus read(const json::value& value, std::string& out) {
        if (!value.is_string()) return expected("a text", value);
        out.assign(value.get_string().data(), value.get_string().size());
        return {};
    }
};

template <class Tag>
struct Codec<Id<Tag>> {
    static json::value write(const Id<Tag>& id) { return json::string(id.value); }
    static ReadStatus read(const json::value& value, Id<Tag>& out) {
        return Codec<std::string>::read(value, out.value);
    }
};

template <>
struct Codec<Duration> {  // whole milliseconds
    static json::value write(Duration value) { return value.count(); }
    static ReadStatus read(const json::value& value, Duration& out) {
        Duration::rep count = 0;
        ReadStatus status = Codec<Duration::rep>::read(value, count);
        out = Duration{count};
        return status;
    }
};

template <class Enum>
requires std::is_enum_v<Enum>
struct Codec<Enum> {
    static json::value write(Enum value) { return json::string(name_of(value)); }
    static ReadStatus read(const json::value& value, Enum& out) {
        std::string words;
        for (const auto& entry : kEnumNames<Enum>)
            words += (words.empty() ? "" : ", ") + std::string(entry.name);
        if (!value.is_string()) return expected("one of " + words, value);
        const std::optional<Enum> found = value_named<Enum>(std::string_view(value.get_string()));
        if (!found) return ReadFailure{"", "unknown word, expected one of " + words};
        out = *found;
        return {};
    }
};

template <class T>
struct Codec<std::optional<T>> {
    static json::value write(const std::optional<T>& value) {
        return value ? Codec<T>::write(*value) : json::value(nullptr);
    }
    static ReadStatus read(const json::value& value, std::optional<T>& out) {
        out.reset();
        if (value.is_null()) return {};
        return Codec<T>::read(value, out.emplace());
    }
};

template <class T>
struct Codec<std::vector<T>> {
    static json::value write(const std::vector<T>& values) {
        json::array array;
        array.reserve(values.size());
        for (const T& value : values)
            array.push_back(Codec<T>::write(value));
        return array;
    }
    static ReadStatus read(const json::value& value, std::vector<T>& out) {
        if (!value.is_array()) return expected("a list", value);
        out.clear();
        out.reserve(value.get_array().size());
        for (const json::value& item : value.get_array()) {
            if (ReadStatus status = Codec<T>::read(item, out.emplace_back())) {
                return std::move(*status).under("[" + std::to_string(out.size() - 1) + "]");
            }
        }
        return {};
    }
};

template <class T>
struct Codec<std::map<std::string, T>> {
    static json::value write(const std::map<std::string, T>& values) {
        json::object object;
        for (const auto& [key, value] : values)
            object.emplace(key, Codec<T>::write(value));
        return object;
    }
    static ReadStatus read(const json::value& value, std::map<std::string, T>& out) {
        if (!value.is_object()) return expected("an object", value);
        out.clear();
        for (const json::key_value_pair& entry : value.get_object()) {
            if (ReadStatus status = Codec<T>::read(entry.value(), out[std::string(entry.key())])) {
                return std::move(*status).under(entry.key());
            }
        }
        return {};
    }
};

template <>
struct Codec<Scalar> {
    static json::value write(const Scalar& scalar) {
        return std::visit([]<class T>(const T& value) { return Codec<T>::write(value); }, scalar);
    }
    static ReadStatus read(const json::value& value, Scalar& out) {
        if (value.is_bool()) {
            out = value.get_bool();
        } else if (value.is_int64()) {
            out = value.get_int64();
        } else if (value.is_double()) {
            out = value.get_double();
        } else if (value.is_string()) {
            out = std::string(value.get_string());
        } else {
            return expected("true, false, a number or a text", value);
        }
        return {};
    }
};

template <>
struct Codec<ParamValue> {
    static json::value write(const ParamValue& param) {
        return std::visit([]<class T>(const T& value) { return Codec<T>::write(value); }, param);
    }
    static ReadStatus read(const json::value& value, ParamValue& out) {
        if (value.is_array())
            return Codec<std::vector<Scalar>>::read(value, out.emplace<std::vector<Scalar>>());
        return Codec<Scalar>::read(value, out.emplace<Scalar>());
    }
};

// Structs with a visit_fields.
template <class Struct>
requires requires(FieldWriter& writer, const Struct& value) {
    visit_fields(writer, value);
}
struct Codec<Struct> {
    static json::value write(const Struct& value) {
        FieldWriter writer;
        visit_fields(writer, value);
        return writer.take();
    }
    static ReadStatus read(const json::value& value, Struct& out) {
        if (!value.is_object()) return expected("an object", value);
        FieldReader reader(value.get_object());
        visit_fields(reader, out);
        return reader.take_failure();
    }
};

// For types that have to_json and a reading function of their own.
template <class T, Result<T> (*From)(const json::value&)>
struct FunctionCodec {
    static json::value write(const T& value) { return to_json(value); }
    static ReadStatus read(const json::value& value, T& out) {
        Result<T> read = From(value);
        if (!read) return ReadFailure{"", read.error().describe()};
        out = std::move(*read);
        return {};
    }
};

// Reads a whole document; `what` names it in the error: "plan".
template <class T>
Result<T> read_document(const json::value& value, std::string_view what) {
    T out{};
    if (ReadStatus status = Codec<T>::read(value, out)) {
        const ReadFailure failure = std::move(*status).under(what);
        return fail(ErrorCode::kCorrupt, failure.text, failure.path);
    }
    return out;
}

}  // namespace nsa::language
