// What a step measured: its results.jsonl and what the plan's parsers make of its output.
#pragma once

#include <string>
#include <vector>

#include "language/event.hpp"
#include "language/plan.hpp"

namespace nsa::runner {

struct StepRecords {
    std::vector<language::Record> records;
    std::vector<std::string> errors;  // lines and files that could not be read, and why
};

// step_folder: descriptor. At most 64 MiB of a file are read; what is beyond is an error, never a smaller
// result.
StepRecords read_records(int step_folder, const language::PlannedCase& planned);

// Splits into events of at most 256 records and about 128 KiB, so that a journal line always fits a frame and
// a reader's credit. A record that cannot travel (not UTF-8, too long) becomes an error. Pure.
std::vector<language::CaseRecords> in_chunks(const CaseKey& key, StepRecords& step);

}  // namespace nsa::runner
