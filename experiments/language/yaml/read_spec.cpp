#include <algorithm>
#include <set>

#include "language/matrix.hpp"
#include "language/text.hpp"
#include "language/yaml/read_parts.hpp"
#include "language/yaml/scalars.hpp"

namespace nsa::language::yaml {

namespace {

Code read_code(const Node& node, Context& context) {
    Code code;
    const Mapping mapping(node, "code", kCodeKeys, context);
    if (const Node* repo = mapping.find("repo")) read_one_line(*repo, "repo", code.repo, context);
    if (const Node* ref = mapping.find("ref")) read_one_line(*ref, "ref", code.ref, context);
    if (const Node* commit = mapping.find("commit")) read_one_line(*commit, "commit", code.commit, context);
    const Node* dirty = mapping.find("dirty");
    if (dirty == nullptr) return code;
    read_word(*dirty, "dirty", code.dirty.emplace(), context);
    if (mapping.find("repo") == nullptr)
        context.problems.add(node, "'repo' is missing in code",
                             "the path of a git working tree, for 'dirty'");
    return code;
}

// "any", "none", or a model with an optional memory: "A100", "A100:80GB".
bool is_gpu(std::string_view text) {
    const std::size_t colon = text.find(':');
    const std::string_view model = text.substr(0, colon);
    const bool plain =
        !model.empty() && model.size() <= 64 && std::all_of(model.begin(), model.end(), [](char c) {
            return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
                   c == '_' || c == ' ';
        });
    if (colon == std::string_view::npos) return plain;
    std::string_view memory = text.substr(colon + 1);
    if (!plain || !memory.ends_with("GB")) return false;
    memory.remove_suffix(2);
    return !memory.empty() && memory.size() <= 5 &&
           std::all_of(memory.begin(), memory.end(), [](char c) { return c >= '0' && c <= '9'; });
}

Target read_target(const Node& node, Context& context) {
    Target target;
    const Mapping mapping(node, "target", kTargetKeys, context);
    if (const Node* gpu = mapping.find("gpu")) {
        if (gpu->kind == Node::Kind::kScalar && is_gpu(gpu->text)) {
            target.gpu = gpu->text;
        } else {
            context.problems.add(*gpu, "'gpu' is " + found_text(*gpu),
                                 "any, none, or a model like A100 or A100:80GB");
        }
    }
    if (const Node* count = mapping.find("count")) read_int(*count, "count", 1, 64, target.count, context);
    if (const Node* instance = mapping.find("instance")) {
        target.instance = instance->text;
        if (instance->kind != Node::Kind::kScalar || !is_valid_instance_name({instance->text}))
            context.problems.add(*instance, "'instance' is " + found_text(*instance),
                                 std::string(kInstanceNameRule));
    }
    if (const Node* engine = mapping.find("engine"); engine != nullptr && engine->text != "any") {
        target.engine =
            engine->kind == Node::Kind::kScalar ? value_named<EngineKind>(engine->text) : std::nullopt;
        if (!target.engine) {
            constexpr std::array<std::string_view, 4> kWords{"any", "local", "ssh", "slurm"};
            report_unknown_word(*engine, "engine", kWords, context);
        }
    }
    return target;
}

Timeouts read_timeouts(const Node& node, Context& context) {
    Timeouts timeouts;
    const Mapping mapping(node, "timeouts", kTimeoutKeys, context);
    const auto read = [&](const char* key, Duration& out) {
        const bool silence = std::string_view(key) == "silence";
        if (const Node* value = mapping.find(key)) read_duration(*value, key, silence, out, context);
    };
    read("queue", timeouts.queue);
    read("provision", timeouts.provision);
    read("setup", timeouts.setup);
    read("run", timeouts.run);
    read("silence", timeouts.silence);
    read("pull", timeouts.pull);
    return timeouts;
}

Retry read_retry(const Node& node, Context& context) {
    Retry retry;
    const Mapping mapping(node, "retry", kRetryKeys, context);
    if (const Node* on = mapping.find("on")) {
        expect_list(*on, "on", context,
                    [&](const Node& item) { read_word(item, "on", retry.on.emplace_back(), context); });
    }
    if (const Node* max = mapping.find("max")) read_int(*max, "max", 0, 10, retry.max, context);
    return retry;
}

Repeat read_repeat(const Node& node, Context& context) {
    Repeat repeat;
    const Mapping mapping(node, "repeat", kRepeatKeys, context);
    if (const Node* n = mapping.find("n")) read_int(*n, "n", 1, 100, repeat.n, context);
    if (const Node* warmup = mapping.find("warmup"))
        read_int(*warmup, "warmup", 0, 100, repeat.warmup, context);
    if (const Node* interleave = mapping.find("interleave"))
        read_bool(*interleave, "interleave", repeat.interleave, context);
    return repeat;
}

void read_price(const Mapping& mapping, const char* key, double& out, Context& context) {
    const Node* price = mapping.find(key);
    if (price == nullptr || !read_number(*price, key, out, context)) return;
    if (out == 0 || price->text.ends_with('%'))
        context.problems.add(*price, "'" + std::string(key) + "' is " + found_text(*price),
                             "a price above 0, like 2.49");
}

Budget read_budget(const Node& node, Context& context) {
    Budget budget;
    const Mapping mapping(node, "budget", kBudgetKeys, context);
    if (const Node* wall = mapping.find("wall")) read_duration(*wall, "wall", false, budget.wall, context);
    read_price(mapping, "hourly", budget.hourly, context);
    read_price(mapping, "total", budget.total, context);
    if (mapping.find("total") != nullptr && mapping.find("hourly") == nullptr)
        context.problems.add(node, "'hourly' is missing in budget", "the price of an hour, for 'total'");
    return budget;
}

Report read_report(const Node& node, Context& context) {
    Report report;
    const Mapping mapping(node, "report", kReportKeys, context);
    if (const Node* subject = mapping.find("subject"))
        read_one_line(*subject, "subject", report.subject, context);
    if (const Node* role = mapping.find("role")) read_one_line(*role, "role", report.role, context);
    return report;
}

void read_matrix_values(const Node& key, const Node& list, std::vector<Scalar>& values, Context& context) {
    if (list.kind != Node::Kind::kList || list.items.empty()) {
        context.problems.add(
            list,
            "matrix key '" + printable(key.text) + "' is " +
                (list.items.empty() && list.kind == Node::Kind::kList ? "an empty list" : found_text(list)),
            "a list of values");
        return;
    }
    for (const Node& item : list.items) {
        const Scalar value = item.kind == Node::Kind::kScalar ? typed(item) : Scalar(std::string());
        if (!is_matrix_value(value)) {
            context.problems.add(item, "a matrix value is " + found_text(item),
                                 "a short value without , = [ ]");
        } else if (std::any_of(values.begin(), values.end(),
                               [&](const Scalar& other) { return to_string(other) == to_string(value); })) {
            context.problems.add(item, "the matrix value " + found_text(item) + " is there twice",
                                 "each value once");
        } else {
            values.push_back(value);
        }
    }
}

Matrix read_matrix(const Node& node, Context& context) {
    Matrix matrix;
    if (node.kind != Node::Kind::kMap) {
        context.problems.add(node, "'matrix' is " + found_text(node), "a mapping of keys to lists of values");
        return matrix;
    }
    for (const auto& [key, list] : node.members) {
        const bool plain =
            !key.text.empty() && key.text.size() <= 64 &&
            std::all_of(key.text.begin(), key.text.end(), [](char c) {
                return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
            });
        if (!plain) {
            context.problems.add(key, "the matrix key is " + found_text(key), "letters, digits and '_'");
        } else {
            read_matrix_values(key, list, matrix[key.text], context);
        }
    }
    return matrix;
}

std::vector<std::vector<std::string>> read_setup(const Node& node, Context& context) {
    std::vector<std::vector<std::string>> setup;
    expect_list(node, "setup", context, [&](const Node& item) {
        if (!read_texts(item, "setup", false, setup.emplace_back(), context)) return;
        for (const Node& argument : item.items)
            check_placeholders(argument, nullptr, context);
    });
    return setup;
}

void read_steps(const Node& node, ExperimentSpec& spec, Context& context) {
    std::vector<std::string> earlier;
    expect_list(node, "steps", context, [&](const Node& item) {
        spec.steps.push_back(read_step(item, earlier, spec.matrix, context));
        earlier.push_back(spec.steps.back().id);
    });
    if (node.kind == Node::Kind::kList && node.items.empty())
        context.problems.add(node, "'steps' is an empty list", "at least one step");
}

// A key that no step refers to would silently change nothing.
void report_unused_keys(const Node& matrix, const ExperimentSpec& spec, Context& context) {
    std::set<std::string> used;
    for (const Step& step : spec.steps) {
        if (Result<std::set<std::string>> keys = keys_used_by(step, spec.matrix)) used.merge(*keys);
    }
    for (const auto& [key, list] : matrix.members) {
        const auto values = spec.matrix.find(key.text);
        if (values == spec.matrix.end() || values->second.empty() || used.contains(key.text)) continue;
        context.problems.add(key, "the matrix key '" + key.text + "' is used by no step",
                             "${{ matrix." + key.text + " }} in a step");
    }
}

}  // namespace

ExperimentSpec read_experiment(const Node& root, Context& context) {
    ExperimentSpec spec;
    const Mapping mapping(root, "the experiment", kSpecKeys, context, kLaterSpecKeys);
    if (root.kind != Node::Kind::kMap) return spec;
    if (const Node* version = mapping.find("version"))
        read_int(*version, "version", 1, 1, spec.version, context);
    if (const Node* name = mapping.find("name")) read_id(*name, "name", spec.name, context);
    if (const Node* subject = mapping.find("subject"))
        read_one_line(*subject, "subject", spec.subject, context);
    if (const Node* code = mapping.find("code")) spec.code = read_code(*code, context);
    if (const Node* target = mapping.find("target")) spec.target = read_target(*target, context);
    if (const Node* env = mapping.find("env")) spec.env = read_env(*env, nullptr, context);
    if (const Node* setup = mapping.find("setup")) spec.setup = read_setup(*setup, context);
    if (const Node* matrix = mapping.find("matrix")) spec.matrix = read_matrix(*matrix, context);
    if (const Node* timeouts = mapping.find("timeouts")) spec.timeouts = read_timeouts(*timeouts, context);
    if (const Node* retry = mapping.find("retry")) spec.retry = read_retry(*retry, context);
    if (const Node* repeat = mapping.find("repeat")) spec.repeat = read_repeat(*repeat, context);
    if (const Node* budget = mapping.find("budget")) spec.budget = read_budget(*budget, context);
    if (const Node* report = mapping.find("report")) spec.report = read_report(*report, context);
    if (const Node* steps = mapping.find("steps")) read_steps(*steps, spec, context);
    if (const Node* matrix = mapping.find("matrix")) report_unused_keys(*matrix, spec, context);
    return spec;
}

}  // namespace nsa::language::yaml
