// A file that could not be used, as an Error.
#pragma once

#include <cstring>
#include <filesystem>
#include <string>
#include <string_view>

#include "language/result.hpp"
#include "system/disk_full.hpp"

namespace nsa {

// kNoSpace for a full disk or quota, else kInternal. `error`: errno; `what` failed: "cannot sync".
inline Error file_error(int error, std::string_view what, const std::filesystem::path& path) {
    return fail(is_disk_full(error) ? ErrorCode::kNoSpace : ErrorCode::kInternal,
                std::string(what) + ": " + std::strerror(error), path.string());
}

}  // namespace nsa
