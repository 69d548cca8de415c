// The results file of nsa-core: JSON lines that the worker (or a person with jq) reads back.
//   {"metric":"mae","value":6.0e-05,"unit":"1","labels":{"S":"512"},"sample":0}
//   {"fact":"route_taken","value":"fa2_dense","labels":{"branch":"sliding"}}
//   {"skip":"no CUDA device is visible"}
// labels and sample are left out when absent. NaN and infinities, which JSON lacks, are the texts "nan",
// "inf" and "-inf". Numbers carry 17 significant digits, so a double survives the trip unchanged.
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace nsa::core::tools {

using Labels = std::vector<std::pair<std::string, std::string>>;  // in the order they are written

struct Metric {
    std::string name;
    double value = 0;
    std::string unit = "1";
    Labels labels = {};
    std::optional<std::int64_t> sample = {};  // index of a raw sample, or of a training step
};

struct Fact {
    std::string name;
    std::string value;
    Labels labels = {};
};

[[nodiscard]] std::string json_line(const Metric& metric);
[[nodiscard]] std::string json_line(const Fact& fact);
[[nodiscard]] std::string json_skip_line(std::string_view reason);

// A JSON string with its quotes. Bytes that are no valid UTF-8 become U+FFFD: a reader may refuse them.
[[nodiscard]] std::string json_text(std::string_view text);
[[nodiscard]] std::string json_number(double value);

// Appends to the file and flushes line by line, so a crashed step keeps what it had measured.
// Throws std::runtime_error, naming the file, when it cannot be opened or written (a full disk, say).
class ResultsWriter {
  public:
    explicit ResultsWriter(std::filesystem::path path);

    void write(const Metric& metric) { append(json_line(metric)); }
    void write(const Fact& fact) { append(json_line(fact)); }
    void write_skip(std::string_view reason) { append(json_skip_line(reason)); }

  private:
    void append(std::string line);

    std::filesystem::path path_;
    std::ofstream file_;
};

}  // namespace nsa::core::tools
