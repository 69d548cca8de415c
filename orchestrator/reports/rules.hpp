// The rules behind findings.hpp, by subject. Private to this box.
#pragma once

#include "reports/findings.hpp"

namespace nsa::reports {

void find_in_oracles(const std::vector<OracleExamination>& oracles, std::vector<Finding>& findings);
void find_in_parity(const RunFacts& facts, std::vector<Finding>& findings);
void find_in_decode(const RunFacts& facts, std::vector<Finding>& findings);
void find_in_needles(const RunFacts& facts, std::vector<Finding>& findings);
void find_in_prefill(const RunFacts& facts, std::vector<Finding>& findings);
void find_in_training(const RunFacts& facts, std::vector<Finding>& findings);
void find_in_health(const RunFacts& facts, std::vector<Finding>& findings);  // gates, memory, golden files
void find_in_run(const RunFacts& facts, std::vector<Finding>& findings);     // gates, skips, crashes, noise

std::vector<Recommendation> recommend(const RunFacts& facts, const Analysis& analysis);

// "NVIDIA H200" or "" when no case ran on a GPU and the probe found none.
std::string gpu_name(const RunFacts& facts);
// How the absence of a GPU was found; "" when there is one.
std::string no_gpu_reason(const RunFacts& facts);

}  // namespace nsa::reports
