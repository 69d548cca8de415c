// nsa-dispatch-bench: how fast work reaches a host, over a private sshd on loopback, beside what ssh with a
// ControlMaster and GNU parallel give over the same sshd in the same run. Everything shares this machine's
// cores.
//   nsa-dispatch-bench --worker PATH [--nsad PATH] [--json FILE]
// Leaves with 1 when a goal is missed.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <exception>
#include <thread>

#include "sections.hpp"

int main(int argc, char** argv) {
    CLI::App app{"Measures dispatch over a loopback sshd."};
    nsa::bench::Programs programs;
    std::string json;
    app.add_option("--worker", programs.worker, "nsa-worker")->required()->check(CLI::ExistingFile);
    app.add_option("--nsad", programs.nsad, "nsad; without it the whole-daemon figures are left out")
        ->check(CLI::ExistingFile);
    app.add_option("--json", json, "write the figures there too");
    CLI11_PARSE(app, argc, argv);
    try {
        const nsa::test::LoopbackSshd sshd{{"LogLevel ERROR", "MaxStartups 200"}};
        nsa::bench::Figures figures;
        nsa::bench::bench_floors(figures, sshd.dir() / "floor");
        nsa::bench::bench_tools(figures, sshd);
        nsa::bench::bench_engine(figures, sshd, programs);
        if (!programs.nsad.empty()) nsa::bench::bench_daemon(figures, sshd, programs);
        fmt::print("\nDispatch over loopback SSH, {} cores shared by both ends\n\n",
                   std::thread::hardware_concurrency());
        figures.print_table();
        if (programs.nsad.empty()) fmt::print("\nWhole-daemon figures: not measured, no --nsad was given.\n");
        if (!json.empty()) nsa::test::write_file(std::filesystem::absolute(json), figures.to_json() + "\n");
        return figures.all_goals_met() ? 0 : 1;
    } catch (const std::exception& error) {
        fmt::print(stderr, "nsa-dispatch-bench: {}\n", error.what());
        return 2;
    }
}
