// What all sections of the laboratory share: where things are, how far to go, and what has been found so far.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "oracle.hpp"
#include "trial.hpp"

namespace nsa::faults {

struct Counts {
    int kills = 200, cuts = 200, cut_points = 32, images = 10, io_faults = 30;
    int seeds = 100'000;
    int flood_mib = 64;
};

// One line of the summary.
struct Figure {
    std::string name, value, goal;  // goal: empty when there is none
    bool met = true;
    bool time = false;  // a machine that is busy with other tests may miss it: decides in the long tier only
};

// What a section hands back. `failures`: trials that did not pass.
struct Findings {
    std::vector<Figure> figures;
    int failures = 0;
    bool not_run = false;  // this machine lacks what the section needs; its figure says what
};
Findings not_run(const std::string& what, const std::string& why);

struct Lab {
    Programs programs;
    std::filesystem::path folder;  // of the trials
    std::uint64_t seed = 1;
    Counts counts;
    std::string only_failpoint;  // one failpoint alone; empty: all
};

// Prints what was violated, the trial's folder and the command that repeats it, and keeps the folder.
void report_failure(Trial& trial, const std::vector<Violation>& violations);

// "p50 12 ms, p99 40 ms, n 500"; samples in milliseconds.
double quantile(std::vector<double> samples, double q);
std::string quantiles_text(const std::vector<double>& samples);

// The sections, one file each.
Findings failpoint_section(const Lab& lab);
Findings kill_section(const Lab& lab);
Findings cut_section(const Lab& lab);
Findings cut_point_section(const Lab& lab);
Findings dead_link_section(const Lab& lab);
Findings flood_section(const Lab& lab);
Findings image_section(const Lab& lab);
Findings io_fault_section(const Lab& lab);
Findings full_disk_section(const Lab& lab);
Findings seed_section(const Lab& lab);

}  // namespace nsa::faults
