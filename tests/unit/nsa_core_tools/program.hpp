// Runs the built nsa-core as a user would, in a folder of its own, and reads back what it wrote.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "language/record.hpp"

namespace nsa::core {

// What one run of the program left behind.
struct Ended {
    int exit_code = -1;  // minus the signal's number when a signal ended it
    std::string out;
    std::string err;
    std::vector<language::Record> records;

    // Samples in the order they were written.
    [[nodiscard]] std::vector<double> samples(const std::string& metric,
                                              const language::Labels& labels = {}) const;
    // The one value of a metric; a test failure and NaN when there is none or more than one.
    [[nodiscard]] double metric(const std::string& name, const language::Labels& labels = {}) const;
    // A test failure and empty when there is none or more than one.
    [[nodiscard]] std::string fact(const std::string& name, const language::Labels& labels = {}) const;
    [[nodiscard]] std::optional<std::string> skip() const;
};

class Program : public ::testing::Test {
  protected:
    Program();
    ~Program() override;

    using Environment = std::map<std::string, std::string>;

    // No CUDA device is visible to the program, and no variable of ours reaches it but those given. The
    // results file is read with the orchestrator's own reader; a line it refuses is a test failure.
    [[nodiscard]] Ended run(const std::vector<std::string>& args, const Environment& environment = {}) const;

    [[nodiscard]] std::string text_of(const std::string& file) const;

    std::filesystem::path folder_;
};

}  // namespace nsa::core
