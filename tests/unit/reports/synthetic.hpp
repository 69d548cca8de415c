// Runs made up for the tests: what a CPU host, a GPU host and a broken run would leave in the store.
#pragma once

#include <string>
#include <vector>

#include "reports/facts.hpp"

namespace nsa::reports::synthetic {

// A case of `kind` that ended with exit code 0 and passed, without measurements.
CaseFacts a_case(const std::string& key, const std::string& kind, const std::string& title);

struct ParitySays {
    std::string branch = "sliding", route = "sdpa";
    double mae = 6.0e-5, baseline = 4.5e-5, bound = 2e-4;
    bool gpu = false;
};
// A parity case; FAIL when its error is above the bound.
CaseFacts parity_case(const std::string& key, const ParitySays& says);
// The published oracle as candidate: far from fp64, and (unless told otherwise) exactly the first key.
CaseFacts oracle_case(const std::string& branch, double first_key_residual = 3.1e-8, bool gpu = false);
CaseFacts skipped(CaseFacts one, const std::string& reason);
// Decode times in ms at S = 512, 1024, 2048, with `sliding` as the route of that branch.
CaseFacts decode_case(const std::string& key, bool gpu, double win_ms = 0.1,
                      const std::string& sliding = "sdpa");
CaseFacts training_case(std::vector<double> losses);
void add_check(CaseFacts& one, language::CheckRule rule, language::CheckResult result);

// A DONE run with host facts and, for every case, three artifacts.
RunFacts a_run(language::Status status, std::vector<CaseFacts> cases, bool gpu);

RunFacts cpu_partial_pass();
RunFacts gpu_pass();
RunFacts failed();
RunFacts crashed();
RunFacts cancelled();
RunFacts nothing_ran();
RunFacts hostile();
RunFacts repeated();

}  // namespace nsa::reports::synthetic
