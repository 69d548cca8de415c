// Result<T>: the value, or an Error that says what failed, where, and what would be right.
// For expected outcomes (bad input, dead host). Bugs and lost resources are exceptions.
#pragma once

#include <boost/system/result.hpp>
#include <string>
#include <string_view>

namespace nsa {

// Closed list; the exit code of a client and the failure class of a retry derive from it.
enum class ErrorCode {
    kInvalidSpec,     // the experiment YAML, or a value in it, is wrong
    kUsage,           // the caller asked for something that cannot be (flag, argument, request)
    kNotFound,        // no such run, instance, artifact, file
    kConflict,        // exists already, or the state forbids it
    kHostKeyRefused,  // of a host: unknown or changed
    kAuthRefused,     // by a host: the user's key
    kRefused,         // every other refusal: no permission, a link in a path, nothing in common
    kUnreachable,     // no route, no answer, connection lost
    kTimeout,         // a deadline passed
    kProtocol,        // the peer sent what the protocol does not allow
    kNoSpace,         // disk or inodes full
    kCorrupt,         // a hash, journal or database does not hold together
    kInternal,        // everything else that the system refused
};
std::string_view to_string(ErrorCode code);

struct Error {
    ErrorCode code = ErrorCode::kInternal;
    std::string text;   // what is wrong and what would be right, one sentence
    std::string where;  // what was being attempted or looked at: "experiments/x.yaml:12:5", "instance a100"

    bool operator==(const Error&) const = default;
    // "where: text"
    std::string describe() const;
};

[[noreturn]] void throw_as_exception(const Error& error);  // lets Result::value() throw std::runtime_error
[[noreturn]] inline void throw_exception_from_error(const Error& error, const boost::source_location&) {
    throw_as_exception(error);
}

template <class T = void>
using Result = boost::system::result<T, Error>;

inline Error fail(ErrorCode code, std::string text, std::string where = {}) {
    return Error{code, std::move(text), std::move(where)};
}

}  // namespace nsa
