#include "runner/records.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "journal/reader.hpp"
#include "posix/files.hpp"

namespace nsa::runner {
namespace {

const CaseKey kKey{"case"};

language::Record measurement(int sample, std::string label = "x") {
    language::Measurement out;
    out.metric = "ms";
    out.value = sample;
    out.unit = "ms";
    out.labels = {{"l", std::move(label)}};
    out.sample = sample;
    return out;
}

TEST(ReadRecords, AnErrorNamesItsFileOnceAndItsLine) {
    std::string folder = (std::filesystem::temp_directory_path() / "nsa-records-test-XXXXXX").string();
    ASSERT_NE(::mkdtemp(folder.data()), nullptr);
    std::ofstream{folder + "/results.jsonl"} << "no json\n";
    std::ofstream{folder + "/out.csv"} << "ms\nfast\n";
    language::PlannedCase planned;
    planned.parsers.emplace_back();
    planned.parsers[0].kind = language::ParserKind::kCsv;
    planned.parsers[0].source = "out.csv";
    planned.parsers[0].columns = {"ms"};
    const StepRecords read = read_records(posix::open_dir(folder).value().get(), planned);
    std::filesystem::remove_all(folder);
    ASSERT_EQ(read.errors.size(), 2U);
    EXPECT_EQ(read.errors[0].rfind("results.jsonl, line 1: ", 0), 0U) << read.errors[0];
    EXPECT_EQ(read.errors[1].rfind("out.csv, line 2: ", 0), 0U) << read.errors[1];
    EXPECT_EQ(read.errors[1].find("out.csv", 1), std::string::npos) << read.errors[1];
}

TEST(Chunks, HoldAtMost256RecordsInOrder) {
    StepRecords step;
    for (int i = 0; i < 1000; ++i)
        step.records.push_back(measurement(i));
    const auto chunks = in_chunks(kKey, step);
    ASSERT_EQ(chunks.size(), 4U);
    std::vector<language::Record> joined;
    for (const auto& chunk : chunks) {
        EXPECT_EQ(chunk.key, kKey);
        joined.insert(joined.end(), chunk.records.begin(), chunk.records.end());
    }
    EXPECT_EQ(chunks[0].records.size(), 256U);
    EXPECT_EQ(joined, step.records);
}

TEST(Chunks, EveryLineFitsAReadersCredit) {
    StepRecords step;
    for (int i = 0; i < 100; ++i)
        step.records.push_back(measurement(i, std::string(30'000, 'y')));
    const auto chunks = in_chunks(kKey, step);
    EXPECT_GT(chunks.size(), 20U);
    for (const auto& chunk : chunks)
        EXPECT_LT(language::to_line({1, 2, chunk}).size(), 200U << 10);
}

TEST(Chunks, WhatCannotTravelBecomesAnErrorAndTheRestArrives) {
    StepRecords step;
    step.records = {measurement(0), measurement(1, "\xff"), measurement(2, std::string(40'000, 'z')),
                    measurement(3)};
    step.errors = {"line 7: bad byte \xfe"};
    const auto chunks = in_chunks(kKey, step);
    ASSERT_EQ(chunks.size(), 1U);
    EXPECT_EQ(chunks[0].records, (std::vector<language::Record>{measurement(0), measurement(3)}));
    EXPECT_EQ(chunks[0].errors, (std::vector<std::string>{"line 7: bad byte ?", "record 1: not UTF-8",
                                                          "record 2: longer than 32 KiB"}));
    EXPECT_TRUE(language::event_from_line(language::to_line({1, 2, chunks[0]})));
}

TEST(Chunks, ErrorsAloneMakeAChunkAndAreBounded) {
    StepRecords none;
    EXPECT_TRUE(in_chunks(kKey, none).empty());
    StepRecords step;
    for (int i = 0; i < 5000; ++i)
        step.errors.push_back(std::string(10'000, 'e'));
    const auto chunks = in_chunks(kKey, step);
    ASSERT_EQ(chunks.size(), 1U);
    EXPECT_EQ(chunks[0].errors.size(), 101U);
    EXPECT_EQ(chunks[0].errors.back(), "and 4900 more errors");
    EXPECT_LT(language::to_line({1, 2, chunks[0]}).size(), journal::kLongestLine);
}

}  // namespace
}  // namespace nsa::runner
