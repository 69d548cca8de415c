// The plan as JSON: plan.json of a run directory, the store's copy, and what the thresholds hash covers.
#include <boost/json.hpp>

#include "language/codec.hpp"
#include "language/json_text.hpp"
#include "language/plan.hpp"
#include "language/working_tree_json.hpp"

namespace nsa::language {

template <>
struct Codec<Check> : FunctionCodec<Check, check_from_json> {};

template <class Visitor, OneOf<Expectation> Self>
void visit_fields(Visitor& v, Self& self) {
    v.required("metric", self.metric);
    v.required("rows", self.rows);
    v.required("samples", self.samples);
}

template <class Visitor, OneOf<Quota> Self>
void visit_fields(Visitor& v, Self& self) {
    v.required("done", self.done);
    v.required("asked", self.asked);
}

template <class Visitor, OneOf<OutputParser> Self>
void visit_fields(Visitor& v, Self& self) {
    v.required("kind", self.kind);
    v.required("source", self.source);
    v.optional("pattern", self.pattern);
    v.optional("metric", self.metric);
    v.optional("unit", self.unit);
    v.optional("columns", self.columns);
    v.optional("labels", self.labels);
    v.optional("units", self.units);
}

template <class Visitor, OneOf<Waiver> Self>
void visit_fields(Visitor& v, Self& self) {
    v.required("owner", self.owner);
    v.required("reason", self.reason);
    v.required("expires", self.expires);
}

template <class Visitor, OneOf<PlannedCase> Self>
void visit_fields(Visitor& v, Self& self) {
    v.required("key", self.key);
    v.optional("step", self.step);
    v.optional("kind", self.kind);
    v.optional("title", self.title);
    v.optional("needs", self.needs);
    v.optional("matrix", self.matrix);
    v.optional("argv", self.argv);
    v.optional("env", self.env);
    v.optional("timeout_ms", self.timeout);
    v.optional("silence_ms", self.silence);
    v.optional("artifacts", self.artifacts);
    v.optional("parsers", self.parsers);
    v.optional("checks", self.checks);
    v.optional("expected", self.expected);
    v.optional("quotas", self.quotas);
    v.optional("exit_code_is_verdict", self.exit_code_is_verdict);
    v.optional("skip_exit_code", self.skip_exit_code);
    v.optional("warmup", self.warmup);
    v.optional("route_asked", self.route_asked);
    v.optional("xfail", self.xfail);
    v.optional("params", self.params);
}

template <class Visitor, OneOf<SetupCommand> Self>
void visit_fields(Visitor& v, Self& self) {
    v.required("argv", self.argv);
    v.optional("env", self.env);
    v.optional("creates", self.creates);
    v.optional("title", self.title);
}

template <class Visitor, OneOf<Timeouts> Self>
void visit_fields(Visitor& v, Self& self) {
    v.required("queue_ms", self.queue);
    v.required("provision_ms", self.provision);
    v.required("setup_ms", self.setup);
    v.required("run_ms", self.run);
    v.required("silence_ms", self.silence);
    v.required("pull_ms", self.pull);
}

template <class Visitor, OneOf<Retry> Self>
void visit_fields(Visitor& v, Self& self) {
    v.optional("on", self.on);
    v.optional("max", self.max);
}

template <class Visitor, OneOf<Repeat> Self>
void visit_fields(Visitor& v, Self& self) {
    v.optional("n", self.n, 1);
    v.optional("warmup", self.warmup);
    v.optional("interleave", self.interleave);
}

template <class Visitor, OneOf<Budget> Self>
void visit_fields(Visitor& v, Self& self) {
    v.optional("wall_ms", self.wall);
    v.optional("hourly", self.hourly);
    v.optional("total", self.total);
}

template <class Visitor, OneOf<Target> Self>
void visit_fields(Visitor& v, Self& self) {
    v.required("gpu", self.gpu);
    v.required("count", self.count);
    v.optional("engine", self.engine);
    v.optional("instance", self.instance);
}

template <class Visitor, OneOf<Code> Self>
void visit_fields(Visitor& v, Self& self) {
    v.optional("repo", self.repo);
    v.optional("ref", self.ref);
    v.optional("commit", self.commit);
    v.optional("dirty", self.dirty);
}

template <class Visitor, OneOf<Report> Self>
void visit_fields(Visitor& v, Self& self) {
    v.required("subject", self.subject);
    v.required("role", self.role);
}

template <class Visitor, OneOf<Plan> Self>
void visit_fields(Visitor& v, Self& self) {
    v.required("name", self.name);
    v.optional("subject", self.subject);
    v.required("spec_hash", self.spec_hash);
    v.required("thresholds_hash", self.thresholds_hash);
    v.optional("tools", self.tools);
    v.optional("setup", self.setup);
    v.required("cases", self.cases);
    v.required("timeouts", self.timeouts);
    v.optional("retry", self.retry);
    v.optional("repeat", self.repeat);
    v.optional("budget", self.budget);
    v.required("target", self.target);
    v.optional("code", self.code);
    v.optional("working_tree", self.working_tree);
    v.required("report", self.report);
}

json::value to_json(const PlannedCase& planned) {
    return Codec<PlannedCase>::write(planned);
}

json::value to_json(const Plan& plan) {
    return Codec<Plan>::write(plan);
}

Result<Plan> plan_from_json(const json::value& value) {
    return read_document<Plan>(value, "plan");
}

std::string to_text(const Plan& plan) {
    return json::serialize(to_json(plan));
}

Result<Plan> plan_from_text(std::string_view text) {
    const Result<json::value> value = parse_json(text);
    if (!value) return fail(value.error().code, value.error().text, "plan, " + value.error().where);
    return plan_from_json(*value);
}

}  // namespace nsa::language
