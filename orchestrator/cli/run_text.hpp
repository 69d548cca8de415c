// Runs, instances and artifacts as tables. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "api/views.hpp"
#include "cli/text.hpp"

namespace nsa::cli {

Colour colour_of(language::Verdict verdict);
Colour colour_of(language::Status status);

std::string runs_table(const std::vector<api::RunView>& runs, std::int64_t now_ms, Paint paint);

// Everything about one run: head, cases, what went wrong.
std::string run_page(const api::RunView& run, std::int64_t now_ms, Paint paint);

// The end of a followed run: status, counts, time, report.
std::string run_summary(const api::RunView& run, Paint paint);

// "7 cases: 5 PASS, 2 SKIP"
std::string case_counts(const api::RunView& run);

// From creation to the end, or to now.
std::int64_t elapsed_ms(const api::RunView& run, std::int64_t now_ms);

std::string artifacts_table(const std::vector<api::ArtifactView>& artifacts, Paint paint);
std::string instances_table(const std::vector<api::InstanceView>& instances, std::int64_t now_ms,
                            Paint paint);
std::string instance_page(const api::InstanceView& instance, std::int64_t now_ms, Paint paint);

}  // namespace nsa::cli
