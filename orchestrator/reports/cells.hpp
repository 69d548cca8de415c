// Table cells computed from the raw samples of one row. Private to this box.
#pragma once

#include <string>
#include <string_view>

#include "reports/facts.hpp"

namespace nsa::reports {

inline constexpr std::string_view kNoValue = "-";

std::string median_cell(const CaseFacts& one, std::string_view metric, const language::Labels& labels = {});
// "5.96 (5.91 to 6.20)": median and the whole range.
std::string spread_cell(const CaseFacts& one, std::string_view metric, const language::Labels& labels = {});
// "18 of 20"
std::string samples_cell(const CaseFacts& one, std::string_view metric, const language::Labels& labels = {});
// "12.3 KiB", of the median.
std::string bytes_cell(const CaseFacts& one, std::string_view metric, const language::Labels& labels = {});
std::string label_cell(const language::Labels& labels, const std::string& name);
std::string text_cell(const std::string& text);

}  // namespace nsa::reports
