#include "nsa_core/parity/golden_plan.hpp"

#include <array>

#include "nsa_core/errors.hpp"

namespace nsa::core::parity {
namespace {

// What a golden file says itself.
constexpr std::array kFlagsOfTheFile{"--batch",      "--seq",       "--heads",     "--groups", "--dk",
                                     "--dv",         "--l",         "--d",         "--l-sel",  "--n",
                                     "--w",          "--seed",      "--positions", "--page",   "--data",
                                     "--compressor", "--phi-hidden"};

golden::Scope scope_of(Subject subject) {
    const bool layer = subject == Subject::kModule || subject == Subject::kDecode;
    return layer ? golden::Scope::kLayer : golden::Scope::kAttention;
}

bool holds_gradients(const golden::Golden& golden, Subject subject) {
    return subject != Subject::kDecode &&
           golden.holds(gradient_name(subject, subject == Subject::kModule ? "x" : "q"));
}

}  // namespace

std::string output_name(Subject subject) {
    switch (subject) {
        case Subject::kSliding:
            return "sliding";
        case Subject::kCompressed:
            return "compressed";
        case Subject::kSelected:
            return "selected";
        case Subject::kModule:
        case Subject::kDecode:
        case Subject::kDecodeStep:
            break;
    }
    return "out";
}

std::string gradient_name(Subject subject, const std::string& input) {
    const std::string output = output_name(subject);
    return (output == "out" ? "d_" : output + ".d_") + input;
}

void check_files(const ParityOptions& options, const RoutePolicy& policy) {
    if (options.golden.empty() && options.dump.empty()) return;
    const std::string flag = options.golden.empty() ? "--dump" : "--golden";
    if (options.subject == Subject::kDecodeStep) {
        throw InputError{flag +
                         ": a decode step's paged cache has no golden file; --branch sliding, compressed, "
                         "selected, module or decode have"};
    }
    if (options.trials != 1) throw InputError{flag + ": a golden file is one trial; leave --trials out"};
    if (policy.force_branch) {
        throw InputError{flag +
                         ": a golden file's layer has its own gates; NSA_FORCE_BRANCH must not be set"};
    }
    if (options.golden.empty()) return;
    for (const char* name : kFlagsOfTheFile) {
        if (options.given.contains(name)) {
            throw InputError{std::string{name} +
                             " and --golden: the file says it itself; leave the flag out"};
        }
    }
}

ParityOptions options_of(ParityOptions o, const golden::Golden& golden) {
    const std::string output = output_name(o.subject);
    if (scope_of(o.subject) != golden.scope || !golden.holds(output)) {
        throw InputError{o.golden + ": it has no tensor " + output + ", the output that --branch asks for"};
    }
    if (!o.given.contains("--dtype")) o.dtype = golden.dtype;
    if (!o.given.contains("--gradients")) o.gradients = holds_gradients(golden, o.subject);
    const NsaConfig& c = golden.config;
    o.batch = golden.batch;
    o.seq = golden.seq;
    o.heads = c.heads;
    o.groups = c.groups;
    o.dk = c.dk;
    o.dv = c.dv;
    o.l = c.l;
    o.d = c.d;
    o.l_sel = c.l_sel;
    o.n = c.n;
    o.w = c.w;
    o.compression = {.compressor = c.compressor, .phi_hidden = c.phi_hidden};
    return o;
}

}  // namespace nsa::core::parity
