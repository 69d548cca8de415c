#include "cli/plan_text.hpp"

#include <fmt/format.h>

#include <set>

#include "language/budget.hpp"
#include "language/text.hpp"

namespace nsa::cli {
namespace {

using language::Duration;
using language::Plan;
using language::PlannedCase;

std::string counted(std::size_t n, std::string_view noun) {
    return fmt::format("{} {}{}", n, noun, n == 1 ? "" : "s");
}

// Limits are round numbers, so they are shown as a spec writes them: "90s", "15m", "4h".
std::string limit_text(Duration limit) {
    const auto ms = limit.count();
    if (ms != 0 && ms % 3'600'000 == 0) return fmt::format("{}h", ms / 3'600'000);
    if (ms != 0 && ms % 60'000 == 0) return fmt::format("{}m", ms / 60'000);
    if (ms % 1'000 == 0) return fmt::format("{}s", ms / 1'000);
    return fmt::format("{}ms", ms);
}

std::string command_line(const std::vector<std::string>& argv) {
    std::string line;
    for (const std::string& argument : argv)
        line += (line.empty() ? "" : " ") + shell_quoted(argument);
    return line;
}

std::string target_text(const language::Target& target) {
    if (!target.instance.empty()) return target.instance;
    if (target.gpu == "any") return "any that is ready";
    if (target.gpu == "none") return "any that is ready, no GPU needed";
    return fmt::format("any that is ready with {} x {}", target.count, target.gpu);
}

std::string repeat_text(const language::Repeat& repeat) {
    std::string text = "each case " + counted(static_cast<std::size_t>(repeat.n), "time");
    if (repeat.warmup > 0) text += fmt::format(" after {} that are not judged", repeat.warmup);
    return text + (repeat.interleave ? ", all cases in turn" : ", one case after the other");
}

// The most that the limits allow, and the budget it was held against.
std::string ceiling_text(const Plan& plan) {
    std::string text = language::describe(language::longest_on_host(plan)) + " on the host";
    if (plan.budget.hourly > 0)
        text += fmt::format(", {:.2f} at {:g} an hour", language::highest_price(plan), plan.budget.hourly);
    if (plan.budget.wall.count() > 0) text += "; budget " + language::describe(plan.budget.wall);
    if (plan.budget.total > 0) text += fmt::format("; budget {:g}", plan.budget.total);
    return text;
}

void append_case(std::string& out, const PlannedCase& planned, Paint paint) {
    out += "\n" + paint(harmless(planned.key.value), Colour::kBold) + "  " + planned.kind;
    if (!planned.title.empty()) out += "  " + harmless(planned.title);
    out += "\n";
    const auto line = [&out](std::string_view name, const std::string& text) {
        out += fmt::format("  {:<7} {}\n", name, harmless(text));
    };
    line("runs", command_line(planned.argv));
    std::string env;
    for (const auto& [name, value] : planned.env)
        env += (env.empty() ? "" : " ") + name + "=" + shell_quoted(value);
    if (!env.empty()) line("env", env);
    std::string needs;
    for (const CaseKey& key : planned.needs)
        needs += (needs.empty() ? "" : ", ") + key.value;
    if (!needs.empty()) line("needs", needs);
    std::string limits = limit_text(planned.timeout);
    if (planned.silence.count() > 0) limits += ", silent at most " + limit_text(planned.silence);
    line("limit", limits);
    if (planned.xfail)
        line("waived", fmt::format("until {} by {}: {}", planned.xfail->expires, planned.xfail->owner,
                                   planned.xfail->reason));
    if (planned.warmup) line("warm-up", "run and recorded, not judged");
    for (const language::Check& check : planned.checks)
        line(language::to_string(check.level), language::describe(check.rule) + "  (" + check.source + ")");
}

}  // namespace

std::string plan_counts(const Plan& plan) {
    std::set<std::string> steps;
    std::size_t checks = 0;
    for (const PlannedCase& planned : plan.cases) {
        steps.insert(planned.step);
        checks += planned.checks.size();
    }
    return counted(steps.size(), "step") + ", " + counted(plan.cases.size(), "case") + ", " +
           counted(checks, "check");
}

std::string plan_text(const Plan& plan, Paint paint) {
    std::string out = paint(harmless(plan.name), Colour::kBold) + "  " + harmless(plan.subject) + "\n";
    const auto line = [&out](std::string_view name, const std::string& text) {
        out += fmt::format("  {:<11} {}\n", name, harmless(text));
    };
    line("plan", plan_counts(plan));
    line("instance", target_text(plan.target));
    if (!plan.tools.empty()) line("tools", language::join(std::span<const std::string>(plan.tools)));
    if (plan.working_tree) line("code", plan.code.repo + " " + language::describe(*plan.working_tree));
    line("spec", "sha256 " + plan.spec_hash.value);
    line("thresholds", "sha256 " + plan.thresholds_hash.value);
    const language::Timeouts& limits = plan.timeouts;
    line("timeouts",
         fmt::format("queue {}, provision {}, setup {}, pull {}", limit_text(limits.queue),
                     limit_text(limits.provision), limit_text(limits.setup), limit_text(limits.pull)));
    line("ceiling", ceiling_text(plan));
    if (plan.repeat.is_asked()) line("repeat", repeat_text(plan.repeat));
    if (plan.retry.max > 0) line("retries", fmt::format("at most {}", plan.retry.max));
    for (const language::SetupCommand& setup : plan.setup)
        line("setup", command_line(setup.argv));
    for (const PlannedCase& planned : plan.cases)
        append_case(out, planned, paint);
    return out;
}

std::string plan_json(const Plan& plan) {
    return language::to_text(plan);
}

}  // namespace nsa::cli
