#include "journal/run_dir.hpp"

#include <charconv>

namespace nsa::journal {

std::string folder_of(const protocol::RunKey& run) {
    return run.run.value + "." + std::to_string(run.attempt.value);
}

std::optional<protocol::RunKey> run_of_folder(std::string_view folder) {
    const std::size_t dot = folder.find('.');
    if (dot == std::string_view::npos) return std::nullopt;
    protocol::RunKey run{RunId{std::string{folder.substr(0, dot)}}, Attempt{0}};
    const std::string_view digits = folder.substr(dot + 1);
    const auto [end, failed] =
        std::from_chars(digits.data(), digits.data() + digits.size(), run.attempt.value);
    const bool whole = failed == std::errc{} && end == digits.data() + digits.size();
    if (!whole || run.attempt.value < 1 || !is_valid_run_id(run.run) || folder_of(run) != folder) {
        return std::nullopt;
    }
    return run;
}

}  // namespace nsa::journal
