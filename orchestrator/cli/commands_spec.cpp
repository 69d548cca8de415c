// The verbs that need no service: validate, plan, schema.
#include <fmt/format.h>

#include <boost/json.hpp>
#include <fstream>
#include <iostream>
#include <iterator>
#include <ostream>

#include "cli/commands.hpp"
#include "cli/look_at_tree.hpp"
#include "cli/plan_text.hpp"
#include "cli/pretty_json.hpp"
#include "language/plan.hpp"
#include "language/utf8.hpp"
#include "language/verdict.hpp"
#include "language/yaml/reader.hpp"

namespace nsa::cli {
namespace {

namespace json = boost::json;
namespace exit_code = language::exit_code;
using language::Diagnostic;

// What validation found out about one file.
struct Finding {
    std::string file;
    std::vector<Diagnostic> diagnostics;  // of the reader
    std::optional<Error> error;           // of the file, of its expansion, of its working tree
    std::optional<language::Plan> plan;   // when it is valid
};

std::string shown_name(const std::string& file) {
    return file == "-" ? "stdin" : file;
}

Finding examine(const std::string& yaml, const std::string& file) {
    Finding finding;
    finding.file = shown_name(file);
    language::SpecReading reading = language::read_spec(yaml, finding.file);
    finding.diagnostics = std::move(reading.diagnostics);
    if (!finding.diagnostics.empty()) return finding;
    auto plan = language::make_plan(reading.spec, yaml);
    if (plan) {
        finding.plan = std::move(*plan);
    } else {
        finding.error = plan.error();
    }
    return finding;
}

Finding examine_file(const Console& console, const std::string& file) {
    const auto yaml = read_spec_file(console, file);
    if (yaml) return examine(*yaml, file);
    Finding finding;
    finding.file = shown_name(file);
    finding.error = yaml.error();
    return finding;
}

// Adds the working tree that a valid spec asks for. One that is not as asked makes it invalid.
void find_tree(Finding& finding, const std::string& file) {
    if (!finding.plan) return;
    auto tree = look_at_code(finding.plan->code, file);
    if (tree) {
        finding.plan->working_tree = std::move(*tree);
    } else {
        finding.error = tree.error();
        finding.plan.reset();
    }
}

void print_problems(const Console& console, const Finding& finding) {
    for (const Diagnostic& diagnostic : finding.diagnostics)
        console.err << harmless(language::describe(diagnostic, finding.file), true) << "\n";
    if (finding.error) {
        // An error of the expansion may know its line; one that does not gets the file's name at least.
        const bool placed = finding.error->where.starts_with(finding.file);
        console.err << harmless((placed ? "" : finding.file + ": ") + finding.error->describe(), true)
                    << "\n";
    }
}

json::object to_json(const Finding& finding) {
    json::array diagnostics;
    for (const Diagnostic& diagnostic : finding.diagnostics)
        diagnostics.push_back({{"line", diagnostic.line},
                               {"column", diagnostic.column},
                               {"text", diagnostic.text},
                               {"expected", diagnostic.expected},
                               {"suggestion", diagnostic.suggestion}});
    if (finding.error)
        diagnostics.push_back({{"text", finding.error->text}, {"where", finding.error->where}});
    json::object out{{"file", finding.file}, {"valid", finding.plan.has_value()}, {"problems", diagnostics}};
    if (finding.plan) {
        out["cases"] = finding.plan->cases.size();
        out["spec_sha256"] = finding.plan->spec_hash.value;
        out["thresholds_sha256"] = finding.plan->thresholds_hash.value;
    }
    return out;
}

}  // namespace

Result<std::string> read_spec_file(const Console& console, const std::string& file) {
    if (file == "-") return std::string(std::istreambuf_iterator<char>(console.in), {});
    std::error_code problem;
    const auto kind = std::filesystem::status(file, problem).type();
    if (kind == std::filesystem::file_type::not_found)
        return fail(ErrorCode::kUsage, "no such experiment file", file);
    if (kind != std::filesystem::file_type::regular)
        return fail(ErrorCode::kUsage, "not a regular file; give the path of an experiment's YAML", file);
    std::ifstream in(file, std::ios::binary);
    std::string text(std::istreambuf_iterator<char>(in), {});
    if (!in) return fail(ErrorCode::kUsage, "cannot read it; see its permissions", file);
    return text;
}

std::optional<Submission> prepare_submission(const Console& console, const std::string& file) {
    auto yaml = read_spec_file(console, file);
    if (!yaml) {
        console.complain(yaml.error());
        return {};
    }
    Finding finding = examine(*yaml, file);
    find_tree(finding, file);
    print_problems(console, finding);
    if (!finding.plan) return {};
    return Submission{std::move(*yaml), std::move(finding.plan->working_tree)};
}

int validate(const Console& console, const ValidateArgs& args, Output output) {
    json::array documents;
    bool all_valid = true;
    for (const std::string& file : args.specs) {
        const Finding finding = examine_file(console, file);
        all_valid = all_valid && finding.plan.has_value();
        if (output == Output::kJson) {
            documents.push_back(to_json(finding));
            continue;
        }
        print_problems(console, finding);
        if (finding.plan)
            console.out << finding.file << ": " << console.out_paint("valid", Colour::kGreen) << ": "
                        << plan_counts(*finding.plan) << "\n";
    }
    if (output == Output::kJson) print_json(console, json::serialize(documents));
    return all_valid ? 0 : exit_code::kUsage;
}

int plan(const Console& console, const PlanArgs& args, Output output) {
    Finding finding = examine_file(console, args.spec);
    find_tree(finding, args.spec);
    print_problems(console, finding);
    if (!finding.plan) return exit_code::kUsage;
    if (!args.instance.empty()) finding.plan->target.instance = args.instance;
    if (output == Output::kJson) {
        print_json(console, plan_json(*finding.plan));
    } else {
        console.out << plan_text(*finding.plan, console.out_paint);
    }
    return 0;
}

int schema(const Console& console) {
    console.out << language::json_schema() << "\n";
    return 0;
}

void print_json(const Console& console, std::string_view json) {
    console.out << pretty_json(language::replace_invalid_utf8(json)) << "\n";
}

}  // namespace nsa::cli
