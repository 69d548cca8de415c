// The report for programs: the same facts and findings, numbers exact, non-finite ones as "nan", "inf",
// "-inf".
#include <boost/json.hpp>
#include <cmath>

#include "reports/render.hpp"

namespace nsa::reports {

namespace {

namespace json = boost::json;

json::value exact(double value) {
    if (std::isnan(value)) return "nan";
    if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
    return value;
}

json::value exact(const std::optional<double>& value) {
    return value ? exact(*value) : json::value(nullptr);
}

template <class Map>
json::object object_of(const Map& map) {
    json::object object;
    for (const auto& [key, value] : map)
        object.emplace(key, value);
    return object;
}

json::array list_of(const std::vector<std::string>& texts) {
    return json::array(texts.begin(), texts.end());
}

json::object check_json(const language::CheckResult& check) {
    return {{"check", check.check},
            {"row", object_of(check.row)},
            {"level", to_string(check.level)},
            {"verdict", to_string(check.verdict)},
            {"measured", exact(check.measured)},
            {"limit", exact(check.limit)},
            {"unit", check.unit},
            {"samples", check.samples},
            {"samples_expected", check.samples_expected},
            {"detail", check.detail}};
}

json::object series_json(const Series& series) {
    json::array samples;
    for (double sample : series.samples)
        samples.push_back(exact(sample));
    return {{"metric", series.metric},
            {"unit", series.unit},
            {"labels", object_of(series.labels)},
            {"median", exact(median_of(series))},
            {"samples", std::move(samples)}};
}

json::object case_json(const CaseFacts& one) {
    json::array checks, series, facts;
    for (const language::CheckResult& check : one.judgement.checks)
        checks.push_back(check_json(check));
    for (const Series& row : one.series)
        series.push_back(series_json(row));
    for (const language::Fact& fact : one.facts)
        facts.push_back({{"fact", fact.name}, {"value", fact.value}, {"labels", object_of(fact.labels)}});
    return {
        {"case", one.planned.key.value},
        {"kind", one.planned.kind},
        {"title", one.planned.title},
        {"verdict", to_string(one.judgement.verdict)},
        {"reason", one.judgement.reason},
        {"short_of_asked", one.judgement.short_of_asked},
        {"infrastructure", one.judgement.infrastructure},
        {"argv", list_of(one.argv.empty() ? one.planned.argv : one.argv)},
        {"env", object_of(one.planned.env)},
        {"seconds", one.seconds},
        {"peak_rss_bytes", one.max_rss_kib > 0 ? json::value(one.max_rss_kib * 1024) : json::value(nullptr)},
        {"folder", "steps/" + one.folder},
        {"checks", std::move(checks)},
        {"measurements", std::move(series)},
        {"facts", std::move(facts)}};
}

json::array setup_json(const RunFacts& facts) {
    json::array list;
    for (const store::SetupRow& row : facts.setup) {
        list.push_back({{"title", row.title},
                        {"end", to_string(row.end.kind)},
                        {"exit_code", row.end.exit_code},
                        {"signal", row.end.signal},
                        {"detail", row.end.detail},
                        {"seconds", row.seconds},
                        {"folder", "setup/" + std::to_string(row.index)}});
    }
    return list;
}

json::array failed_tries_json(const RunFacts& facts) {
    json::array list;
    for (const store::FailedTry& one : facts.failed_tries) {
        list.push_back({{"try", one.number},
                        {"attempt", one.attempt.value},
                        {"instance", one.instance.value},
                        {"reason", to_string(one.reason)},
                        {"message", one.message},
                        {"over_ms", one.over_ms}});
    }
    return list;
}

json::object host_time_json(const RunFacts& facts) {
    const double hourly = facts.plan.budget.hourly;
    return {{"held_seconds", static_cast<double>(facts.held_ms) / 1000},
            {"hourly", hourly > 0 ? json::value(hourly) : json::value(nullptr)},
            {"cost", hourly > 0 ? json::value(cost_of(facts)) : json::value(nullptr)}};
}

json::array findings_json(const Analysis& analysis) {
    json::array list;
    for (const Finding& finding : analysis.findings) {
        json::array evidence;
        for (const Evidence& rows : finding.evidence)
            evidence.push_back({{"case", rows.key.value}, {"rows", rows.rows}});
        list.push_back({{"rule", finding.rule},
                        {"certainty", to_string(finding.certainty)},
                        {"text", finding.text},
                        {"evidence", std::move(evidence)}});
    }
    return list;
}

json::object production_json(const ProductionConfig& config) {
    json::array branches;
    for (const BranchChoice& choice : config.branches) {
        branches.push_back(
            {{"branch", choice.branch},
             {"route", choice.route.empty() ? json::value(nullptr) : json::value(choice.route)},
             {"why", choice.why},
             {"ms", exact(choice.ms)}});
    }
    return {{"env", list_of(config.env)},
            {"branches", std::move(branches)},
            {"none_because", config.none_because}};
}

json::array recommendations_json(const Analysis& analysis) {
    json::array list;
    for (const Recommendation& advice : analysis.recommendations)
        list.push_back({{"when", advice.immediate ? "immediate" : "long_term"}, {"text", advice.text}});
    return list;
}

}  // namespace

std::string render_json(const RunFacts& facts, const Analysis& analysis) {
    json::array cases, warmups, artifacts;
    for (const CaseFacts& one : facts.cases)
        cases.push_back(case_json(one));
    for (const CaseFacts& one : facts.warmups)
        warmups.push_back(case_json(one));
    for (const store::ArtifactRow& artifact : facts.artifacts)
        artifacts.push_back(
            {{"path", artifact.path}, {"size", artifact.size}, {"sha256", artifact.sha256.value}});
    const json::object report{
        {"format", 1},
        {"title", file_stem(facts)},
        {"version", facts.report.version},
        {"run", facts.run.run.value},
        {"attempt", facts.run.attempt ? facts.run.attempt->attempt.value : 0},
        {"name", facts.run.name},
        {"subject", facts.run.subject},
        {"status", to_string(*facts.run.status)},
        {"reason", to_string(facts.run.reason)},
        {"message", facts.run.message},
        {"exit_code", language::exit_code_of(*facts.run.status)},
        {"instance", facts.run.instance.value},
        {"created_ms", facts.run.created_ms},
        {"started_ms", facts.run.started_ms},
        {"finished_ms", facts.run.finished_ms},
        {"spec_sha256", facts.run.spec_hash.value},
        {"thresholds_sha256", facts.run.thresholds_hash.value},
        {"artifact_dir", facts.run.artifact_dir},
        {"artifacts_verified",
         facts.run.artifacts_verified ? json::value(*facts.run.artifacts_verified) : json::value(nullptr)},
        {"tries", facts.run.retries + 1},
        {"failed_tries", failed_tries_json(facts)},
        {"host_time", host_time_json(facts)},
        {"host", object_of(facts.host)},
        {"setup", setup_json(facts)},
        {"cases", std::move(cases)},
        {"warmups", std::move(warmups)},
        {"findings", findings_json(analysis)},
        {"recommendations", recommendations_json(analysis)},
        {"production", production_json(analysis.production)},
        {"artifacts", std::move(artifacts)}};
    return json::serialize(report) + "\n";
}

}  // namespace nsa::reports
