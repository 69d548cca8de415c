// nsa-fault-lab: hurts the released programs in every way of docs/reliability.md and judges what is left.
//   nsa-fault-lab [--quick|--long] [--only SECTION]... [counts] [--seed N] [--folder DIR]
// Prints one summary table. Leaves with 0 when every trial passed and every goal was met; with 77 when that
// holds for what could be run on this machine; else with 1.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <iostream>

#include "lab.hpp"
#include "private_network.hpp"
#include "summary.hpp"

namespace {

using nsa::faults::Findings;
using nsa::faults::Lab;
using nsa::faults::Programs;

struct Section {
    std::string_view name;
    Findings (*run)(const Lab&);
};
constexpr std::array kSections{Section{"failpoints", nsa::faults::failpoint_section},
                               Section{"kills", nsa::faults::kill_section},
                               Section{"cuts", nsa::faults::cut_section},
                               Section{"points", nsa::faults::cut_point_section},
                               Section{"dead-link", nsa::faults::dead_link_section},
                               Section{"flood", nsa::faults::flood_section},
                               Section{"io", nsa::faults::io_fault_section},
                               Section{"full-disk", nsa::faults::full_disk_section},
                               Section{"images", nsa::faults::image_section},
                               Section{"seeds", nsa::faults::seed_section}};

constexpr int kNotRun = 77;  // nothing failed, but not everything was run

struct Choice {
    Lab lab;
    std::vector<std::string> only;
    bool is_long = false;
};

Programs programs_in(const std::filesystem::path& bin) {
    const std::filesystem::path folder = std::filesystem::absolute(bin);
    return {.nsad = folder / "nsad",
            .worker = folder / "nsa-worker",
            .nsad_lab = folder / "nsad-lab",
            .worker_lab = folder / "nsa-worker-lab",
            .io_faults = folder / "libnsa-io-faults.so"};
}

std::string section_names() {
    std::string names;
    for (const Section& section : kSections)
        names += (names.empty() ? "" : ", ") + std::string(section.name);
    return names;
}

void declare(CLI::App& app, Choice& choice) {
    nsa::faults::Counts& counts = choice.lab.counts;
    app.add_flag_callback(
        "--quick", [] {}, "the counts of ./check (the default)");
    app.add_flag_callback(
        "--long",
        [&choice] {
            choice.is_long = true;
            choice.lab.counts = {.kills = 5'000,
                                 .cuts = 1'000,
                                 .cut_points = 1'024,
                                 .images = 200,
                                 .io_faults = 300,
                                 .seeds = 1'000'000,
                                 .flood_mib = 1'024};
        },
        "the counts of a release");
    const auto count = CLI::Range(1, 100'000'000);
    app.add_option("--kills", counts.kills, "SIGKILLs of the daemon")->check(count)->trigger_on_parse();
    app.add_option("--cuts", counts.cuts, "random link cuts")->check(count)->trigger_on_parse();
    app.add_option("--cut-points", counts.cut_points, "cuts at points of a 4 MiB artifact, 1024: all")
        ->check(count)
        ->trigger_on_parse();
    app.add_option("--images", counts.images, "power-cut images")->check(count)->trigger_on_parse();
    app.add_option("--io-faults", counts.io_faults, "failing system calls")->check(count)->trigger_on_parse();
    app.add_option("--seeds", counts.seeds, "worlds of the scheduler simulation")
        ->check(count)
        ->trigger_on_parse();
    app.add_option("--flood-mib", counts.flood_mib, "MiB of log that one run writes at full speed")
        ->check(count)
        ->trigger_on_parse();
    app.add_option("--failpoint", choice.lab.only_failpoint, "this one alone, of the section failpoints");
    app.add_option("--seed", choice.lab.seed, "of the first trial");
    app.add_option("--folder", choice.lab.folder,
                   "where trials live; default: nsa-faults in the temporary folder");
    app.add_option_function<std::string>(
        "--programs", [&choice](const std::string& folder) { choice.lab.programs = programs_in(folder); },
        "a folder with nsad, nsa-worker and their laboratory twins; default: those of this build");
    app.add_option("--only", choice.only, "sections: " + section_names());
}

std::vector<Section> chosen(const std::vector<std::string>& only) {
    if (only.empty()) return {kSections.begin(), kSections.end()};
    std::vector<Section> found;
    for (const std::string& name : only) {
        const auto section = std::find_if(kSections.begin(), kSections.end(),
                                          [&](const Section& one) { return one.name == name; });
        if (section == kSections.end())
            throw CLI::ValidationError("--only", "there is no section \"" + name + "\"; " + section_names());
        found.push_back(*section);
    }
    return found;
}

int run(const Choice& choice, const std::vector<Section>& sections) {
    std::vector<nsa::faults::Figure> figures;
    int failures = 0;
    bool not_run = false;
    for (const Section& section : sections) {
        std::cout << "section " << section.name << std::endl;
        const auto begun = std::chrono::steady_clock::now();
        Findings findings = section.run(choice.lab);
        const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begun;
        failures += findings.failures;
        not_run = not_run || findings.not_run;
        figures.insert(figures.end(), findings.figures.begin(), findings.figures.end());
        figures.push_back({fmt::format("  duration of section {}", section.name),
                           fmt::format("{:.0f} s", took.count()), ""});
    }
    figures.push_back({"trials that failed", std::to_string(failures), "0", failures == 0});
    std::cout << "\n" << nsa::faults::summary_text(figures);
    const bool met = std::all_of(figures.begin(), figures.end(), [&](const auto& figure) {
        return figure.met || (figure.time && !choice.is_long);
    });
    if (failures > 0 || !met) return 1;
    return not_run ? kNotRun : 0;
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app{"Hurts nsad and its workers in every way there is, and judges what is left."};
    Choice choice;
    choice.lab.programs = programs_in(NSA_BIN_DIR);
    choice.lab.folder = std::filesystem::temp_directory_path() / "nsa-faults";
    try {
        declare(app, choice);
        app.parse(argc, argv);
        const std::string refused = nsa::faults::enter_private_network();
        std::cout << "network: "
                  << (refused.empty() ? "private namespace" : "loopback of this machine (" + refused + ")")
                  << std::endl;
        return run(choice, chosen(choice.only));
    } catch (const CLI::ParseError& error) {
        return app.exit(error);
    } catch (const std::exception& error) {
        std::cerr << "nsa-fault-lab: " << error.what() << "\n";
        return 2;
    }
}
