// Whose output a request for a log names: a case by its key, or a command of the set-up by its folder,
// "setup/0".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "store/rows.hpp"

namespace nsa::daemon {

struct LogOwner {
    std::string folder;                                 // below the attempt's: "steps/<case>", "setup/0"
    bool over = false;                                  // its process writes no more
    std::optional<std::uint64_t> out_bytes, err_bytes;  // that it wrote until then; absent: nobody counted
};

// Whether the name is one of the set-up: no case key has a slash there.
bool names_setup(std::string_view name);

// `setup`: the commands that ended, in order; the one after them may be running. kNotFound, with what there
// is.
Result<LogOwner> find_log_owner(const store::RunRow& row, const std::vector<store::SetupRow>& setup,
                                std::string_view name);

}  // namespace nsa::daemon
