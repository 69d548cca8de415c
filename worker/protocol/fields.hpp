// Reads the fields of a JSON message one after the other and keeps the first thing that is wrong.
#pragma once

#include <boost/json.hpp>
#include <cstdint>
#include <limits>
#include <map>
#include <string>
#include <string_view>

#include "language/result.hpp"

namespace nsa::protocol {

class Fields {
  public:
    // `object` outlives this; `message` names it in errors: "Launch".
    Fields(const boost::json::object& object, std::string message)
        : object_{object}, message_{std::move(message)} {}

    void read(std::string_view name, std::string& out) {
        if (const auto* value = find(name, "a string", &boost::json::value::is_string)) {
            out = boost::json::value_to<std::string>(*value);
        }
    }
    void read(std::string_view name, bool& out) {
        if (const auto* value = find(name, "true or false", &boost::json::value::is_bool))
            out = value->get_bool();
    }
    template <std::integral T>
    requires(!std::same_as<T, bool>) void read(std::string_view name, T& out) {
        const auto* value = find(name, "an integer", &boost::json::value::is_number);
        if (value == nullptr) return;
        boost::system::error_code out_of_range;
        const T number = value->to_number<T>(out_of_range);
        if (out_of_range) {
            refuse(name, "is not an integer within its range");
        } else {
            out = number;
        }
    }
    template <class T>
    void read(std::string_view name, std::map<std::string, T>& out) {
        const auto* value = find(name, "an object", &boost::json::value::is_object);
        if (value == nullptr) return;
        Fields members{value->get_object(), message_ + "." + std::string{name}};
        for (const auto& [key, member] : value->get_object())
            members.read(key, out[std::string{key}]);
        absorb(members);
    }
    const boost::json::array* array(std::string_view name) {
        const auto* value = find(name, "an array", &boost::json::value::is_array);
        return value == nullptr ? nullptr : &value->get_array();
    }
    const boost::json::object* object(std::string_view name) {
        const auto* value = find(name, "an object", &boost::json::value::is_object);
        return value == nullptr ? nullptr : &value->get_object();
    }

    void refuse(std::string_view name, std::string text) {
        if (failed_) return;
        failed_ = true;
        error_ = fail(ErrorCode::kProtocol, std::move(text), message_ + "." + std::string{name});
    }
    // Takes over the error of a nested reader.
    void absorb(const Fields& nested) {
        if (failed_ || !nested.failed_) return;
        failed_ = true;
        error_ = nested.error_;
    }

    bool failed() const { return failed_; }
    const Error& error() const { return error_; }
    const std::string& message() const { return message_; }

  private:
    const boost::json::value* find(std::string_view name, std::string_view type,
                                   bool (boost::json::value::*is)() const noexcept) {
        const auto* value = object_.if_contains(name);
        if (value == nullptr) {
            refuse(name, "is missing, expected " + std::string{type});
            return nullptr;
        }
        if (!(value->*is)()) {
            refuse(name, "has the wrong type, expected " + std::string{type});
            return nullptr;
        }
        return value;
    }

    const boost::json::object& object_;
    std::string message_;
    Error error_;
    bool failed_ = false;
};

}  // namespace nsa::protocol
