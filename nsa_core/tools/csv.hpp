// A CSV artifact (RFC 4180, "\n" line ends): header first, each row flushed as it is written.
#pragma once

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace nsa::core::tools {

// Replaces an earlier file of that name. Throws std::runtime_error, naming the file, when it cannot be
// written.
class CsvWriter {
  public:
    CsvWriter(std::filesystem::path path, const std::vector<std::string>& header);

    // Throws std::logic_error when the row has another number of cells than the header.
    void row(const std::vector<std::string>& cells);

  private:
    void append(const std::vector<std::string>& cells);

    std::filesystem::path path_;
    std::size_t columns_;
    std::ofstream file_;
};

// Nine significant digits: enough for a measured time, and short enough to read.
[[nodiscard]] std::string csv_number(double value);

}  // namespace nsa::core::tools
