#include <algorithm>

#include "language/environment.hpp"
#include "language/event.hpp"
#include "language/kind.hpp"
#include "language/matrix.hpp"
#include "language/params.hpp"
#include "language/text.hpp"
#include "language/yaml/read_parts.hpp"
#include "language/yaml/scalars.hpp"

namespace nsa::language::yaml {

bool check_placeholders(const Node& node, const Matrix* matrix, Context& context) {
    if (node.text.find("${{") == std::string::npos) return false;
    if (matrix == nullptr) {
        context.problems.add(node, "a placeholder outside of a step",
                             "a fixed value: only steps are expanded");
        return true;
    }
    if (const auto keys = keys_used_in(node.text, *matrix); !keys)
        context.problems.add(node, keys.error().text);
    return true;
}

std::map<std::string, std::string> read_env(const Node& node, const Matrix* matrix, Context& context) {
    std::map<std::string, std::string> env;
    if (node.kind != Node::Kind::kMap) {
        context.problems.add(node, "'env' is " + found_text(node), "a mapping of names to values");
        return env;
    }
    for (const auto& [name, value] : node.members) {
        if (value.kind != Node::Kind::kScalar) {
            context.problems.add(value, "env '" + printable(name.text) + "' is " + found_text(value),
                                 "a text or a number; \"\" for an empty one");
            continue;
        }
        const bool open = check_placeholders(value, matrix, context);
        // With a placeholder the value is known per case only; make_plan looks at it then.
        const std::optional<EnvFault> fault = env_fault(name.text, open ? std::string("1") : value.text);
        if (fault && !(open && fault->suggestion.empty() &&
                       fault->text.find("does not understand") != std::string::npos)) {
            context.problems.add(name, "env: " + fault->text, fault->expected, fault->suggestion);
            continue;
        }
        env.emplace(name.text, value.text);
    }
    if (const std::optional<EnvFault> fault = env_fault(env))
        context.problems.add(node, "env: " + fault->text, fault->expected);
    return env;
}

namespace {

const StepKind* read_kind(const Node* node, const Node* run, const Node& step_node, Step& step,
                          Context& context) {
    if (node == nullptr && run != nullptr) {
        step.kind = "command";
        return find_step_kind(step.kind);
    }
    std::vector<std::string_view> names;
    for (const StepKind* kind : step_kinds())
        names.push_back(kind->name());
    if (node == nullptr) {
        context.problems.add(step_node, "'kind' is missing in step '" + step.id + "'",
                             "one of " + join(names) + ", or 'run'");
        return nullptr;
    }
    const StepKind* kind = node->kind == Node::Kind::kScalar ? find_step_kind(node->text) : nullptr;
    if (kind == nullptr) {
        report_unknown_word(*node, "kind", names, context);
    } else {
        step.kind = node->text;
    }
    return kind;
}

// A param's value as YAML types it; params that are texts keep what is written, so that a version 2.10 stays
// one.
ParamValue param_value(const Node& node, bool is_text) {
    if (node.kind == Node::Kind::kScalar) return is_text ? Scalar(node.text) : typed(node);
    std::vector<Scalar> items;
    for (const Node& item : node.items)
        items.push_back(typed(item));
    return items;
}

void read_params(const Node& node, const StepKind& kind, const Matrix& matrix, Step& step, Context& context) {
    const std::string what = "the params of kind " + std::string(kind.name());
    const std::vector<std::string_view> names = param_names(kind.params());
    if (node.kind != Node::Kind::kMap) {
        context.problems.add(node, what + " are " + found_text(node), "a mapping with " + join(names));
        return;
    }
    for (const auto& [name, value] : node.members) {
        const ParamSchema* schema = find_param(kind.params(), name.text);
        if (schema == nullptr) {
            context.problems.add(name, "unknown key '" + printable(name.text) + "' in " + what,
                                 names.empty() ? "no params: this kind has none" : "one of " + join(names),
                                 std::string(nearest_word(name.text, names)));
            continue;
        }
        const auto is_scalar = [](const Node& item) { return item.kind == Node::Kind::kScalar; };
        const bool list =
            value.kind == Node::Kind::kList && std::all_of(value.items.begin(), value.items.end(), is_scalar);
        if (!is_scalar(value) && !list) {
            context.problems.add(value, "param '" + name.text + "' is " + found_text(value),
                                 "a value or a list of values");
            continue;
        }
        bool open = is_scalar(value) && check_placeholders(value, &matrix, context);
        for (const Node& item : value.items)
            open |= check_placeholders(item, &matrix, context);
        ParamValue given = param_value(value, schema->type == ParamType::kText);
        if (!open) {  // else make_plan looks at it, case by case
            const ParamReading reading = read_param(*schema, given);
            if (!reading.fault.empty()) {
                context.problems.add(value, "param '" + name.text + "': " + reading.fault,
                                     std::string(schema->help), reading.suggestion);
            }
        }
        step.params.emplace(name.text, std::move(given));
    }
}

// `params` null: the step has none.
void check_required_params(const Node& step_node, const Node* params, const StepKind& kind, const Step& step,
                           Context& context) {
    if (params != nullptr && params->kind != Node::Kind::kMap) return;  // reported already
    for (const ParamSchema& param : kind.params()) {
        const auto is_it = [&](const auto& member) { return member.first.text == param.name; };
        if (!param.required ||
            (params != nullptr && std::any_of(params->members.begin(), params->members.end(), is_it)))
            continue;
        context.problems.add(
            params != nullptr ? *params : step_node,
            "param '" + std::string(param.name) + "' is missing in step '" + step.id + "'",
            std::string(param.help) + (param.one_of.empty() ? "" : ": " + std::string(param.one_of)));
    }
}

void read_run(const Node& node, const Matrix& matrix, Step& step, Context& context) {
    if (node.kind != Node::Kind::kList || node.items.empty()) {
        context.problems.add(node, "'run' is " + found_text(node),
                             "a list of program and arguments, like [make, test]; no shell is involved");
        return;
    }
    for (const Node& item : node.items) {
        if (item.kind != Node::Kind::kScalar) {
            context.problems.add(item, "an argument is " + found_text(item),
                                 "a text or a number; \"\" for an empty one");
            continue;
        }
        check_placeholders(item, &matrix, context);
        step.run.push_back(item.text);
    }
}

void read_needs(const Node& node, const std::vector<std::string>& earlier, Step& step, Context& context) {
    const std::vector<std::string_view> known(earlier.begin(), earlier.end());
    const auto read_one = [&](const Node& need) {
        if (need.kind != Node::Kind::kScalar ||
            std::find(known.begin(), known.end(), need.text) == known.end()) {
            context.problems.add(
                need, "'needs' is " + found_text(need),
                known.empty() ? "an earlier step, and there is none" : "an earlier step: " + join(known),
                std::string(nearest_word(need.text, known)));
        } else if (std::find(step.needs.begin(), step.needs.end(), need.text) == step.needs.end()) {
            step.needs.push_back(need.text);
        }
    };
    if (node.kind == Node::Kind::kScalar) {
        read_one(node);
    } else {
        expect_list(node, "needs", context, read_one);
    }
}

void read_artifacts(const Node& node, Step& step, Context& context) {
    expect_list(node, "artifacts", context, [&](const Node& item) {
        if (item.kind != Node::Kind::kScalar || !is_safe_relative_path(item.text)) {
            context.problems.add(item, "'artifacts' is " + found_text(item),
                                 "a path below the step's folder, with * and ?, like *.csv");
        } else {
            step.artifacts.push_back(item.text);
        }
    });
}

void read_xfail(const Node& node, Step& step, Context& context) {
    const Mapping mapping(node, "xfail of step '" + step.id + "'", kXfailKeys, context);
    Waiver waiver;
    const Node *owner = mapping.find("owner"), *reason = mapping.find("reason"),
               *expires = mapping.find("expires");
    if (owner != nullptr) read_one_line(*owner, "owner", waiver.owner, context);
    if (reason != nullptr) read_one_line(*reason, "reason", waiver.reason, context);
    if (expires != nullptr && (expires->kind != Node::Kind::kScalar || !is_date(expires->text))) {
        context.problems.add(*expires, "'expires' is " + found_text(*expires), "a day as YYYY-MM-DD");
    } else if (expires != nullptr) {
        waiver.expires = expires->text;
    }
    step.xfail = std::move(waiver);
}

void read_limits(const Mapping& mapping, Step& step, Context& context) {
    Duration limit{};
    if (const Node* timeout = mapping.find("timeout");
        timeout != nullptr && read_duration(*timeout, "timeout", false, limit, context)) {
        step.timeout = limit;
    }
    if (const Node* silence = mapping.find("silence");
        silence != nullptr && read_duration(*silence, "silence", true, limit, context)) {
        step.silence = limit;
    }
}

}  // namespace

Step read_step(const Node& node, const std::vector<std::string>& earlier, const Matrix& matrix,
               Context& context) {
    Step step;
    step.source = context.source(node);
    const Mapping mapping(node, "a step", kStepKeys, context);
    if (const Node* id = mapping.find("id");
        id != nullptr && read_id(*id, "id", step.id, context) &&
        std::find(earlier.begin(), earlier.end(), step.id) != earlier.end()) {
        context.problems.add(*id, "the step id '" + step.id + "' is taken", "each step with its own id");
    }
    if (node.kind != Node::Kind::kMap) return step;
    const Node *run = mapping.find("run"), *params = mapping.find("params");
    const StepKind* kind = read_kind(mapping.find("kind"), run, node, step, context);
    if (const Node* title = mapping.find("title")) {
        read_one_line(*title, "title", step.title, context);
        check_placeholders(*title, &matrix, context);
    }
    if (const Node* needs = mapping.find("needs")) read_needs(*needs, earlier, step, context);
    if (const Node* env = mapping.find("env")) step.env = read_env(*env, &matrix, context);
    if (kind != nullptr && params != nullptr) read_params(*params, *kind, matrix, step, context);
    if (kind != nullptr) check_required_params(node, params, *kind, step, context);
    if (run != nullptr) {
        read_run(*run, matrix, step, context);
        if (kind != nullptr && step.kind != "command") {
            context.problems.add(*run, "'run' in a step of kind " + step.kind, "kind command, or no 'run'");
        }
    } else if (step.kind == "command") {
        context.problems.add(node, "'run' is missing in step '" + step.id + "'",
                             "a list of program and arguments");
    }
    read_limits(mapping, step, context);
    if (const Node* artifacts = mapping.find("artifacts")) read_artifacts(*artifacts, step, context);
    if (const Node* metrics = mapping.find("metrics")) step.metrics = read_parsers(*metrics, context);
    if (const Node* checks = mapping.find("checks")) step.checks = read_checks(*checks, context);
    if (const Node* xfail = mapping.find("xfail")) read_xfail(*xfail, step, context);
    return step;
}

}  // namespace nsa::language::yaml
