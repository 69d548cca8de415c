// The table that the laboratory prints at its end.
#pragma once

#include <string>
#include <vector>

#include "lab.hpp"

namespace nsa::faults {

std::string summary_text(const std::vector<Figure>& figures);

}  // namespace nsa::faults
