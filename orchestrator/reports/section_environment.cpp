// The environment as probed. A value that nobody probed is said to be so, never filled in.
#include <algorithm>
#include <set>

#include "language/shell_word.hpp"
#include "reports/page.hpp"
#include "reports/rules.hpp"

namespace nsa::reports {

namespace {

constexpr std::string_view kNotProbed = "not probed";

std::string host_fact(const RunFacts& facts, const std::string& name) {
    const auto found = facts.host.find(name);
    return found == facts.host.end() ? std::string{} : found->second;
}

std::string shown(const std::string& value) {
    return value.empty() ? std::string(kNotProbed) : escape(value);
}

// The different values that the cases report, joined: they should be one.
std::string over_cases(const RunFacts& facts, std::string_view name) {
    std::set<std::string> values;
    for (const CaseFacts& one : facts.cases) {
        if (const std::string value = fact_of(one, name); !value.empty()) values.insert(value);
    }
    std::string out;
    for (const std::string& value : values)
        out += (out.empty() ? "" : ", ") + value;
    return out;
}

std::string with_unit(const std::string& value, std::string_view unit) {
    return value.empty() ? std::string{} : value + " " + std::string(unit);
}

std::string byte_fact(const RunFacts& facts, const std::string& name) {
    const std::string value = host_fact(facts, name);
    return value.empty() ? std::string{} : bytes(std::strtoull(value.c_str(), nullptr, 10));
}

void add_gpu(const RunFacts& facts, const std::string& prefix, Table& table) {
    const auto fact = [&](const char* name) { return host_fact(facts, prefix + name); };
    const std::string label = "GPU " + prefix.substr(4, prefix.size() - 5);
    table.add({label, shown(fact("name")) + ", uuid " + shown(fact("uuid"))});
    table.add({label + " driver", shown(fact("driver")) + ", vbios " + shown(fact("vbios"))});
    table.add(
        {label + " memory", shown(with_unit(fact("memory_mib"), "MiB")) + ", ECC " + shown(fact("ecc"))});
    table.add({label + " clocks", "SM " + shown(with_unit(fact("clock_sm_mhz"), "MHz")) + " (max " +
                                      shown(with_unit(fact("clock_sm_max_mhz"), "MHz")) + "), memory " +
                                      shown(with_unit(fact("clock_mem_mhz"), "MHz")) + ", at the probe"});
    table.add({label + " power and heat", "limit " + shown(with_unit(fact("power_limit_w"), "W")) + ", " +
                                              shown(with_unit(fact("temperature_c"), "degrees C")) +
                                              " at the probe"});
}

void add_gpus(const RunFacts& facts, Table& table) {
    bool any = false;
    for (int index = 0; facts.host.contains("gpu." + std::to_string(index) + ".name"); ++index) {
        add_gpu(facts, "gpu." + std::to_string(index) + ".", table);
        any = true;
    }
    if (any) return;
    if (const std::string reason = no_gpu_reason(facts); !reason.empty()) {
        table.add({"GPU", "**none**: " + escape(reason)});
    } else {
        table.add({"GPU", shown(over_cases(facts, "gpu_name")) + ", uuid " +
                              shown(over_cases(facts, "gpu_uuid")) + ", driver " +
                              shown(over_cases(facts, "driver")) + " (as the cases saw it)"});
    }
}

// Runs of before titles were recorded have only their numbers.
std::string setup_title(const store::SetupRow& row) {
    return row.title.empty() ? "command " + std::to_string(row.index) : row.title;
}

std::string setup_lines(const Page& page) {
    const RunFacts& facts = page.facts;
    if (facts.setup.empty()) return {};
    Table table({{"", true}, {"Setup command"}, {"Ended"}, {"Time", true}, {"Output"}});
    std::string failed;  // the first one's number
    for (const store::SetupRow& row : facts.setup) {
        const std::string number = std::to_string(row.index);
        const std::string files = page.files("setup/" + number, {"stderr", "stdout"});
        const bool well = row.end.kind == language::EndKind::kExited && row.end.exit_code == 0;
        if (!well && failed.empty()) failed = number;
        table.add({number, escape(setup_title(row)),
                   well ? escape(end_of(row.end)) : "**" + escape(end_of(row.end)) + "**",
                   seconds(row.seconds), files.empty() ? "none came home" : files});
    }
    std::string out = "### Setup\n\n" + table.text();
    if (!failed.empty()) {
        out += "What command " + failed + " wrote:\n\n" +
               code_block("nsactl logs " + language::shell_word(facts.run.run.value) + " --setup " + failed +
                              " --stderr",
                          "bash");
    }
    return out;
}

}  // namespace

std::string environment_section(const Page& page) {
    const RunFacts& facts = page.facts;
    std::string out = "## Test Environment\n\n";
    const bool cases_spoke = std::any_of(facts.cases.begin(), facts.cases.end(),
                                         [](const CaseFacts& one) { return !one.facts.empty(); });
    if (facts.host.empty()) out += "No host was probed: no worker answered in this run.\n\n";
    if (facts.host.empty() && !cases_spoke) return out;
    Table table({{"What"}, {"As probed"}});
    table.add({"Instance", shown(facts.run.instance.value)});
    table.add({"Host", shown(host_fact(facts, "hostname"))});
    table.add({"Operating system", shown(host_fact(facts, "os"))});
    table.add({"Kernel", shown(host_fact(facts, "kernel"))});
    table.add({"CPU", shown(host_fact(facts, "cpu_model")) + ", " + shown(host_fact(facts, "cpu_count")) +
                          " processors"});
    table.add({"Memory", shown(byte_fact(facts, "ram_bytes"))});
    add_gpus(facts, table);
    const std::string torch = over_cases(facts, "torch_version");
    table.add({"PyTorch (LibTorch of the cases)",
               shown(torch.empty() ? host_fact(facts, "torch_version") : torch)});
    const std::string cuda = over_cases(facts, "cuda_version");
    table.add({"CUDA runtime (of the cases)",
               no_gpu_reason(facts).empty() ? shown(cuda)
               : cuda.empty()               ? "not used"
                                            : escape(cuda) + ", which LibTorch brings; no GPU used it"});
    table.add({"CUDA toolkit", shown(host_fact(facts, "cuda_toolkit"))});
    table.add({"Element types", shown(over_cases(facts, "dtype"))});
    table.add({"Seeds", shown(over_cases(facts, "seed"))});
    table.add({"Worker", shown(host_fact(facts, "worker_version"))});
    return out + table.text() + setup_lines(page);
}

}  // namespace nsa::reports
