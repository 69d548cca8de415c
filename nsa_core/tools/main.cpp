// nsa-core: parity tests, benchmarks and training smokes of Native Sparse Attention, one subcommand per run.
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <iostream>
#include <string>
#include <vector>

#include "nsa_core/bench/decode_bench.hpp"
#include "nsa_core/bench/memory_scaling.hpp"
#include "nsa_core/bench/prefill_bench.hpp"
#include "nsa_core/errors.hpp"
#include "nsa_core/gates/gate_health.hpp"
#include "nsa_core/needle/needle.hpp"
#include "nsa_core/parity/parity.hpp"
#include "nsa_core/tools/flags.hpp"
#include "nsa_core/tools/outcome.hpp"
#include "nsa_core/tools/output.hpp"
#include "nsa_core/tools/probe.hpp"
#include "nsa_core/train/train_smoke.hpp"

namespace {

namespace fs = std::filesystem;
using namespace nsa::core;
using Arguments = std::vector<std::string>;

struct Subcommand {
    std::string name;
    std::string summary;
    bool takes_routes;  // obeys the environment flags that choose routes
    int (*run)(const Subcommand& self, const Arguments& args);
};

constexpr const char* kExitCodes =
    "Exit codes: 0 done, 1 failed, 2 bad usage, 77 skipped (the reason is in the results file).\n";
constexpr const char* kRouteFlags =
    "Environment (each takes effect or is refused):\n"
    "  NSA_USE_FA2=0|1              FlashAttention-2 for the sliding and compressed branches\n"
    "  NSA_USE_FA2_WIN=0|1, NSA_USE_FA2_CMP=0|1\n"
    "                               the same for one branch; stronger than NSA_USE_FA2\n"
    "  NSA_TEST_FA2=1               run parity cases on FA2 routes; they are skipped otherwise\n"
    "  NSA_WIN_FORCE_DENSE=1        the sliding branch takes the dense FA2 path\n"
    "  NSA_FA2_FORCE_VARLEN=1, NSA_FA2_FORCE_DENSE=1\n"
    "                               which FA2 path; not both\n"
    "  NSA_FA2_MIN_LEN_WIN=N, NSA_FA2_MIN_LEN_CMP=N\n"
    "                               fewer keys than N fall back to sdpa\n"
    "  NSA_SDPA_AUDIT=1             log every scaled_dot_product_attention call to stderr\n"
    "  NSA_FORCE_BRANCH=cmp|sel|win the gate passes that branch only\n\n";
constexpr const char* kOutputVariables =
    "NSA_RESULTS and NSA_ARTIFACTS in the environment are the defaults of --results and --artifacts.\n";

std::string from_environment(const char* variable, std::string otherwise) {
    const char* value = std::getenv(variable);
    return value && *value ? value : otherwise;
}

bool asks_for_help(const Arguments& args) {
    for (const std::string& argument : args) {
        if (argument == "--help" || argument == "-h") return true;
    }
    return false;
}

int usage_error(const std::string& message) {
    std::cerr << "nsa-core: " << message << std::endl;
    return tools::kExitUsage;
}

int exit_code(const tools::Outcome& outcome, tools::Output& output) {
    if (const auto* skipped = std::get_if<tools::Skipped>(&outcome)) {
        output.results.write_skip(skipped->reason);
        std::cerr << "nsa-core: skipped: " << skipped->reason << std::endl;
        return tools::kExitSkipped;
    }
    if (const auto* failed = std::get_if<tools::Failed>(&outcome)) {
        std::cerr << "nsa-core: " << failed->message << std::endl;
        return tools::kExitFailed;
    }
    return tools::kExitDone;
}

template <typename Options>
int run_subcommand(const Subcommand& self, const Arguments& args) {
    Options options;
    std::string results = from_environment("NSA_RESULTS", "results.jsonl");
    std::string artifacts = from_environment("NSA_ARTIFACTS", ".");
    tools::FlagTable table;
    add_flags(table, options);
    table.text("--results", results, "FILE", "append metrics and facts to this file, as JSON lines")
        .text("--artifacts", artifacts, "DIR", "put CSV files into this folder");
    if (asks_for_help(args)) {
        std::cout << "nsa-core " << self.name << ": " << self.summary << "\n\n"
                  << table.help() << "\n"
                  << (self.takes_routes ? kRouteFlags : "") << kOutputVariables << kExitCodes;
        return tools::kExitDone;
    }
    if (const auto error = table.parse(args)) return usage_error(self.name + ": " + *error);
    if (!fs::is_directory(artifacts)) {
        return usage_error(self.name + ": --artifacts expects an existing folder, got \"" + artifacts + "\"");
    }
    tools::Output output{.results = tools::ResultsWriter{results}, .artifacts = artifacts};
    try {
        return exit_code(run(options, output), output);
    } catch (const InputError& error) {
        return usage_error(self.name + ": " + error.what());
    }
}

const std::vector<Subcommand>& subcommands() {
    static const std::vector<Subcommand> table{
        {"parity", "a route against the fp64 oracle: how far off, and where", true,
         run_subcommand<parity::ParityOptions>},
        {"decode-bench", "time of one decode step, whole and by branch, and the keys it reads", true,
         run_subcommand<bench::DecodeBenchOptions>},
        {"prefill-bench", "time of attention over whole sequences, forward and backward, whole and by branch",
         true, run_subcommand<bench::PrefillBenchOptions>},
        {"needle", "does attention find one planted token in a long context?", false,
         run_subcommand<needle::NeedleOptions>},
        {"train-smoke", "train a small byte-level language model: loss, gradient norm, tokens per second",
         true, run_subcommand<train::TrainSmokeOptions>},
        {"gate-health", "how the gates of a model stand on data: means, entropy, saturation, collapse", true,
         run_subcommand<gates::GateHealthOptions>},
        {"memory-scaling", "most memory of prefill, decode and training over lengths, and how it grows", true,
         run_subcommand<bench::MemoryScalingOptions>},
        {"probe", "what this host offers, as JSON", false, run_subcommand<tools::ProbeOptions>},
    };
    return table;
}

std::string overview() {
    std::string text = "usage: nsa-core SUBCOMMAND [--flag VALUE]...\n\n";
    for (const Subcommand& subcommand : subcommands()) {
        text += "  " + subcommand.name + std::string(16 - subcommand.name.size(), ' ') + subcommand.summary +
                "\n";
    }
    text += "  version         versions of this program, of Torch and of CUDA\n\n";
    return text + "nsa-core SUBCOMMAND --help lists the flags. " + kExitCodes;
}

int dispatch(const Arguments& args) {
    if (args.empty()) {
        std::cerr << overview();
        return tools::kExitUsage;
    }
    const std::string& name = args.front();
    if (name == "--help" || name == "-h" || name == "help") {
        std::cout << overview();
        return tools::kExitDone;
    }
    const Arguments rest{args.begin() + 1, args.end()};
    std::vector<std::string> names{"version", "help"};
    for (const Subcommand& subcommand : subcommands()) {
        if (subcommand.name == name) return subcommand.run(subcommand, rest);
        names.push_back(subcommand.name);
    }
    if (name == "version" || name == "--version") {
        if (!rest.empty()) return usage_error("version takes no arguments, got \"" + rest.front() + "\"");
        std::cout << tools::version_line() << std::endl;
        return tools::kExitDone;
    }
    const auto near = tools::nearest(name, names);
    return usage_error("unknown subcommand \"" + name + "\"" +
                       (near ? " (did you mean " + *near + "?)" : "; see nsa-core --help"));
}

}  // namespace

int main(int argc, char** argv) {
    try {
        return dispatch({argv + 1, argv + argc});
    } catch (const std::exception& error) {
        std::cerr << "nsa-core: " << error.what() << std::endl;
        return tools::kExitFailed;
    }
}
