#include "language/result.hpp"

#include <stdexcept>

namespace nsa {

std::string_view to_string(ErrorCode code) {
    switch (code) {
        case ErrorCode::kInvalidSpec:
            return "invalid_spec";
        case ErrorCode::kUsage:
            return "usage";
        case ErrorCode::kNotFound:
            return "not_found";
        case ErrorCode::kConflict:
            return "conflict";
        case ErrorCode::kHostKeyRefused:
            return "host_key_refused";
        case ErrorCode::kAuthRefused:
            return "auth_refused";
        case ErrorCode::kRefused:
            return "refused";
        case ErrorCode::kUnreachable:
            return "unreachable";
        case ErrorCode::kTimeout:
            return "timeout";
        case ErrorCode::kProtocol:
            return "protocol";
        case ErrorCode::kNoSpace:
            return "no_space";
        case ErrorCode::kCorrupt:
            return "corrupt";
        case ErrorCode::kInternal:
            return "internal";
    }
    return "internal";
}

std::string Error::describe() const {
    return where.empty() ? text : where + ": " + text;
}

void throw_as_exception(const Error& error) {
    throw std::runtime_error(error.describe());
}

}  // namespace nsa
