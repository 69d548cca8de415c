#include "daemon/log_owner.hpp"

#include <algorithm>
#include <charconv>

#include "language/event.hpp"

namespace nsa::daemon {

namespace {

constexpr std::string_view kSetup = "setup/";

std::string where(const store::RunRow& row) {
    return "log of run " + row.run.value;
}

Result<LogOwner> setup_owner(const store::RunRow& row, std::size_t ended, std::string_view name) {
    const std::string_view digits = name.substr(kSetup.size());
    std::size_t index = 0;
    const auto [end, problem] = std::from_chars(digits.data(), digits.data() + digits.size(), index);
    const bool is_number = problem == std::errc{} && end == digits.data() + digits.size();
    const bool cases_began = std::any_of(row.cases.begin(), row.cases.end(), [](const store::CaseRow& one) {
        return one.state != store::CaseState::kWaiting;
    });
    const bool may_go_on = row.state != language::RunState::kDone && !cases_began;
    if (!is_number || index > ended || (index == ended && !may_go_on)) {
        return fail(ErrorCode::kNotFound,
                    "no command of the set-up is called \"" + std::string(name) + "\"; " +
                        std::to_string(ended) + " were run, counted from setup/0",
                    where(row));
    }
    return LogOwner{std::string(name), index < ended, std::nullopt, std::nullopt};
}

}  // namespace

bool names_setup(std::string_view name) {
    return name.starts_with(kSetup);
}

Result<LogOwner> find_log_owner(const store::RunRow& row, const std::vector<store::SetupRow>& setup,
                                std::string_view name) {
    if (names_setup(name)) return setup_owner(row, setup.size(), name);
    const auto found = std::find_if(row.cases.begin(), row.cases.end(),
                                    [&](const store::CaseRow& one) { return one.key.value == name; });
    if (found == row.cases.end())
        return fail(ErrorCode::kNotFound, "the run has no case \"" + std::string(name) + "\"", where(row));
    const bool over =
        found->state == store::CaseState::kFinished || found->state == store::CaseState::kBlocked;
    return LogOwner{"steps/" + language::case_folder(found->key), over, found->stdout_bytes,
                    found->stderr_bytes};
}

}  // namespace nsa::daemon
