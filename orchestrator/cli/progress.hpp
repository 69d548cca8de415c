// How a run that is being followed is shown: one line per change in a log, a block redrawn in place on a
// terminal. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "api/views.hpp"
#include "cli/text.hpp"

namespace nsa::cli {

// What is new in `after`, in words; everything when there is no `before`.
std::vector<std::string> changes(const std::optional<api::RunView>& before, const api::RunView& after,
                                 Paint paint);

// When a case was first seen running, by its key: a view does not say.
using RunningSince = std::map<CaseKey, std::int64_t>;

// At most `rows` lines of at most `columns`: the head, and of the cases those that matter most now.
std::vector<std::string> live_lines(const api::RunView& run, const RunningSince& since, std::int64_t now_ms,
                                    int columns, int rows, Paint paint);

}  // namespace nsa::cli
