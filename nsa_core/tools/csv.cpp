#include "nsa_core/tools/csv.hpp"

#include <cstdio>
#include <stdexcept>
#include <utility>

namespace nsa::core::tools {
namespace {

std::string cell_text(const std::string& cell) {
    if (cell.find_first_of(",\"\r\n") == std::string::npos) return cell;
    std::string quoted = "\"";
    for (const char c : cell) {
        if (c == '"') quoted += '"';
        quoted += c;
    }
    return quoted + "\"";
}

}  // namespace

CsvWriter::CsvWriter(std::filesystem::path path, const std::vector<std::string>& header)
    : path_{std::move(path)}, columns_{header.size()}, file_{path_, std::ios::trunc | std::ios::binary} {
    append(header);
}

void CsvWriter::row(const std::vector<std::string>& cells) {
    if (cells.size() != columns_) {
        throw std::logic_error{path_.string() + ": a row of " + std::to_string(cells.size()) +
                               " cells under a header of " + std::to_string(columns_)};
    }
    append(cells);
}

void CsvWriter::append(const std::vector<std::string>& cells) {
    std::string line;
    for (const std::string& cell : cells) {
        if (&cell != &cells.front()) line += ',';
        line += cell_text(cell);
    }
    file_ << line << '\n' << std::flush;
    if (!file_) throw std::runtime_error{"cannot write the artifact " + path_.string()};
}

std::string csv_number(double value) {
    char buffer[32];
    std::snprintf(buffer, sizeof buffer, "%.9g", value);
    return buffer;
}

}  // namespace nsa::core::tools
