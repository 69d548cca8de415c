#include "synthetic.hpp"

#include <csignal>

#include "language/event.hpp"
#include "language/hash.hpp"

namespace nsa::reports::synthetic {

using namespace language;

namespace {

const std::string kNoGpu = "nvidia-smi was not found";

std::vector<double> around(double median) {
    return {median * 0.98, median, median * 1.03, median * 0.99, median * 1.01};
}

void measure(CaseFacts& one, const std::string& metric, const std::string& unit, std::vector<double> samples,
             const Labels& labels = {}) {
    one.planned.expected.push_back({metric, 1, static_cast<int>(samples.size())});
    one.series.push_back({metric, unit, labels, std::move(samples)});
}

void say_device(CaseFacts& one, bool gpu) {
    one.facts.push_back({"device", gpu ? "cuda:0" : "cpu", {}});
    one.facts.push_back({"dtype", gpu ? "fp16" : "fp32", {}});
    one.facts.push_back({"seed", "0", {}});
    one.facts.push_back({"torch_version", "2.11.0", {}});
    if (gpu) one.facts.push_back({"cuda_version", "13.0", {}});
}

void say_route(CaseFacts& one, const std::string& branch, const std::string& asked, const std::string& taken,
               const std::string& reason = "") {
    one.facts.push_back({"route_asked", asked, {{"branch", branch}}});
    one.facts.push_back({"route_taken", taken, {{"branch", branch}}});
    one.facts.push_back({"route_reason", reason, {{"branch", branch}}});
}

void judge_mae(CaseFacts& one, double mae, double bound) {
    CheckResult result;
    result.check = "mae <= 0.0002";
    result.verdict = mae <= bound ? Verdict::kPass : Verdict::kFail;
    result.measured = mae;
    result.limit = bound;
    result.unit = "1";
    result.samples = result.samples_expected = 1;
    result.detail = mae <= bound ? "mae is within its bound" : "mae is above its bound";
    add_check(one, ThresholdCheck{"mae", Op::kLessEqual, bound, "", Aggregate::kMedian, 0}, result);
    if (mae > bound) {
        one.judgement.verdict = Verdict::kFail;
        one.judgement.reason = result.detail;
    }
}

std::map<std::string, std::string> host_facts(bool gpu) {
    std::map<std::string, std::string> host = {
        {"hostname", gpu ? "gpu-7" : "laptop"}, {"os", "Ubuntu 24.04"},      {"kernel", "6.8.0-45-generic"},
        {"cpu_model", "AMD EPYC 9554"},         {"cpu_count", "16"},         {"ram_bytes", "137438953472"},
        {"gpu_count", gpu ? "1" : "0"},         {"worker_version", "0.1.0"},
    };
    if (!gpu) {
        host["gpu_reason"] = kNoGpu;
        return host;
    }
    host.insert({{"gpu.0.name", "NVIDIA H200"},
                 {"gpu.0.uuid", "GPU-5f1c6f0e-1111-2222-3333-444455556666"},
                 {"gpu.0.memory_mib", "143771"},
                 {"gpu.0.driver", "580.159.04"},
                 {"gpu.0.clock_sm_mhz", "1980"},
                 {"gpu.0.clock_sm_max_mhz", "1980"},
                 {"gpu.0.clock_mem_mhz", "3201"},
                 {"gpu.0.power_limit_w", "700.00"},
                 {"gpu.0.temperature_c", "31"},
                 {"gpu.0.ecc", "Enabled"},
                 {"cuda_toolkit", "13.0"}});
    return host;
}

}  // namespace

void add_check(CaseFacts& one, CheckRule rule, CheckResult result) {
    one.planned.checks.push_back({result.check, std::move(rule), result.level, "fa2.yaml:20:5"});
    one.judgement.checks.push_back(std::move(result));
}

CaseFacts a_case(const std::string& key, const std::string& kind, const std::string& title) {
    CaseFacts one;
    one.planned.key = CaseKey{key};
    one.planned.step = key.substr(0, key.find('['));
    one.planned.kind = kind;
    one.planned.title = title;
    one.planned.argv = {"nsa-core", kind};
    one.argv = {"/opt/nsa/bin/nsa-core", kind};
    one.folder = case_folder(one.planned.key);
    one.end = ProcessEnd{EndKind::kExited, 0, 0, false, ""};
    one.seconds = 1.25;
    one.judgement.verdict = Verdict::kPass;
    return one;
}

CaseFacts parity_case(const std::string& key, const ParitySays& says) {
    CaseFacts one = a_case(key, "parity", "");
    one.planned.params = {{"branch", Scalar{says.branch}}, {"route", Scalar{says.route}}};
    one.planned.route_asked = says.route;
    one.planned.env = {{"NSA_TEST_FA2", "1"}};
    one.argv = {"/opt/nsa/bin/nsa-core", "parity", "--branch", says.branch, "--route", says.route};
    say_device(one, says.gpu);
    say_route(one, says.branch, says.route, says.route);
    measure(one, "mae", "1", {says.mae});
    measure(one, "max_abs", "1", {says.mae * 9});
    measure(one, "rel_l2", "1", {says.mae * 2});
    measure(one, "baseline_mae", "1", {says.baseline});
    judge_mae(one, says.mae, says.bound);
    return one;
}

CaseFacts oracle_case(const std::string& branch, double first_key_residual, bool gpu) {
    CaseFacts one = parity_case("published_oracle_" + branch,
                                {branch, "sdpa_causal_one_query", 0.7734, 4.5e-5, 2e-4, gpu});
    one.facts.push_back({"worst_index", "0,3,17,5", {}});
    measure(one, "mae_first_key_only", "1", {first_key_residual});
    one.planned.xfail = Waiver{"kernels", "the published oracle is under examination", "2027-01-01"};
    one.judgement.verdict = Verdict::kXfail;
    one.judgement.reason = "failed as foretold: mae is above its bound";
    return one;
}

CaseFacts skipped(CaseFacts one, const std::string& reason) {
    one.judgement = {Verdict::kSkip, reason, false, false, {}};
    one.end = ProcessEnd{EndKind::kExited, 77, 0, false, ""};
    one.series.clear();
    one.facts.clear();
    one.seconds = 0.2;
    return one;
}

CaseFacts decode_case(const std::string& key, bool gpu, double win_ms, const std::string& sliding) {
    CaseFacts one = a_case(key, "decode_bench", "Decode step");
    one.planned.params = {
        {"seq", std::vector<Scalar>{std::int64_t{512}, std::int64_t{1024}, std::int64_t{2048}}},
        {"samples", Scalar{std::int64_t{5}}}};
    say_device(one, gpu);
    say_route(one, "sliding", "auto", sliding);
    say_route(one, "compressed", "auto", "sdpa");
    say_route(one, "selected", "auto", "sdpa");
    for (int s : {512, 1024, 2048}) {
        const Labels labels{{"S", std::to_string(s)}};
        measure(one, "ms_total", "ms", around(0.40 + win_ms), labels);
        measure(one, "ms_cmp", "ms", around(0.10), labels);
        measure(one, "ms_sel", "ms", around(0.12), labels);
        measure(one, "ms_win", "ms", around(win_ms), labels);
        measure(one, "ms_rest", "ms", around(0.18), labels);
        measure(one, "reads_actual_total", "keys", {s + 600.0}, labels);
        measure(one, "reads_expected_total", "keys", {s + 600.0}, labels);
    }
    CheckResult reads;
    reads.check = "reads_actual_total = reads_expected_total";
    reads.row = {{"S", "512"}};
    reads.verdict = Verdict::kPass;
    reads.measured = reads.limit = 1112;
    reads.samples = 1;
    add_check(one, IdentityCheck{"reads_actual_total", {"reads_expected_total"}, 0}, reads);
    return one;
}

CaseFacts training_case(std::vector<double> losses) {
    CaseFacts one = a_case("train", "train_smoke", "Training");
    say_device(one, false);
    const auto steps = static_cast<double>(losses.size());
    measure(one, "loss", "nat", std::move(losses));
    measure(one, "grad_norm", "1", {1.2, 0.9, 0.8});
    measure(one, "tokens_per_s", "tok/s", {2900, 3000, 3050});
    measure(one, "steps_done", "1", {steps});
    measure(one, "steps_asked", "1", {steps});
    return one;
}

RunFacts a_run(Status status, std::vector<CaseFacts> cases, bool gpu) {
    RunFacts facts;
    facts.run.run = RunId{"r-0123456789abc"};
    facts.run.name = facts.plan.name = "fa2_routing";
    facts.run.subject = facts.plan.subject = "FA2 Routing Verification";
    facts.run.spec_hash = sha256_of("spec");
    facts.run.thresholds_hash = sha256_of("thresholds");
    facts.run.state = RunState::kDone;
    facts.run.reason = Reason::kCompleted;
    facts.run.status = status;
    facts.run.instance = InstanceName{gpu ? "h200" : "local"};
    facts.run.attempt.emplace();
    facts.run.created_ms = 1'795'435'200'000;  // 2026-11-23 12:00:00 UTC
    facts.run.started_ms = facts.run.created_ms + 5'000;
    facts.run.finished_ms = facts.run.created_ms + 70'000;
    facts.run.artifact_dir = "/srv/artifacts/r-0123456789abc/1";
    facts.run.artifacts_verified = true;
    facts.plan.code.repo = "nsa";
    facts.plan.code.ref = "main";
    facts.plan.code.commit = "106b8f6";
    facts.report.date = "2026-11-23";
    facts.report.subject = "FA2 Routing Verification";
    facts.report.version = 2;
    facts.spec_file = "fa2_routing.yaml";
    facts.host = host_facts(gpu);
    for (const CaseFacts& one : cases) {
        for (const char* name : {"results.jsonl", "stderr", "stdout"}) {
            const std::string path = "steps/" + one.folder + "/" + name;
            facts.artifacts.push_back({path, 2048, sha256_of(path)});
        }
    }
    facts.cases = std::move(cases);
    return facts;
}

RunFacts cpu_partial_pass() {
    const std::string reason = "--device cuda: this build of LibTorch has no CUDA";
    return a_run(Status::kPartialPass,
                 {parity_case("sliding_sdpa", {"sliding", "sdpa", 6.1e-8, 5.9e-8}), oracle_case("sliding"),
                  skipped(parity_case("sliding_fa2_dense", {"sliding", "fa2_dense"}), reason),
                  skipped(parity_case("sliding_fa2_varlen", {"sliding", "fa2_varlen"}), reason),
                  decode_case("decode", false), training_case({5.55, 5.2, 4.9})},
                 false);
}

RunFacts gpu_pass() {
    return a_run(
        Status::kPass,
        {parity_case("sliding_sdpa", {"sliding", "sdpa", 6.0e-5, 4.5e-5, 2e-4, true}),
         parity_case("sliding_fa2_dense", {"sliding", "fa2_dense", 6.03e-5, 4.5e-5, 2e-4, true}),
         parity_case("compressed_sdpa", {"compressed", "sdpa", 5.1e-5, 4.4e-5, 2e-4, true}),
         decode_case("decode_sdpa", true, 0.30, "sdpa"), decode_case("decode_fa2", true, 0.08, "fa2_dense")},
        true);
}

RunFacts failed() {
    RunFacts facts =
        a_run(Status::kFail,
              {parity_case("sliding_sdpa", {"sliding", "sdpa", 6.0e-5, 4.5e-5, 2e-4, true}),
               parity_case("sliding_fa2_dense", {"sliding", "fa2_dense", 0.31, 4.5e-5, 2e-4, true}),
               training_case({5.5, 5.6, 5.7})},
              true);
    facts.cases[1].facts.push_back({"worst_index", "0,3,17,5", {}});
    return facts;
}

RunFacts crashed() {
    CaseFacts dead = a_case("decode", "decode_bench", "Decode step");
    dead.end = ProcessEnd{EndKind::kSignalled, 0, SIGSEGV, true, ""};
    dead.judgement = {Verdict::kError, "killed by signal 11 (SIGSEGV), core dumped", false, false, {}};
    CaseFacts after = a_case("train", "train_smoke", "Training");
    after.end.reset();
    after.argv.clear();
    after.judgement = {Verdict::kBlocked, "needs decode, which did not pass", false, false, {}};
    return a_run(Status::kPartialPass, {parity_case("sliding_sdpa", {}), dead, after}, false);
}

RunFacts cancelled() {
    CaseFacts never = a_case("train", "train_smoke", "Training");
    never.end.reset();
    never.argv.clear();
    never.judgement = {Verdict::kCancelled, "the run was cancelled before it started", false, false, {}};
    RunFacts facts = a_run(Status::kCancelled, {parity_case("sliding_sdpa", {}), never}, false);
    facts.run.reason = Reason::kCancelledByUser;
    facts.run.message = "cancelled by user";
    return facts;
}

RunFacts nothing_ran() {
    CaseFacts never = a_case("train", "train_smoke", "Training");
    never.end.reset();
    never.argv.clear();
    never.judgement = {Verdict::kError, "it never started", false, true, {}};
    RunFacts facts = a_run(Status::kInfrastructure, {never}, false);
    facts.run.reason = Reason::kHostUnreachable;
    facts.run.message = "instance h200 did not answer within 15 minutes";
    facts.run.attempt.reset();
    facts.run.started_ms = 0;
    facts.run.artifact_dir.clear();
    facts.run.instance = {};
    facts.artifacts.clear();
    facts.host.clear();
    return facts;
}

RunFacts hostile() {
    const std::string bad =
        "</td><script>alert(1)</script> **PASS** [x](javascript:alert(1)) `| ```\n# Go\n\x1b[31mred\x07 "
        "\xe2\x80\xae"
        "gnp \xff\xfe <img src=x onerror=alert(1)> &lt; ![i](http://evil/)";
    CaseFacts one = a_case("step[x=" + bad + "]", "command", bad);
    one.argv = {"sh", "-c", "echo ```; " + bad};
    one.planned.env = {{"X", bad}};
    one.judgement = {Verdict::kFail, bad, false, false, {}};
    CheckResult result;
    result.check = bad;
    result.row = {{bad, bad}};
    result.verdict = Verdict::kFail;
    result.detail = bad;
    add_check(one, ThresholdCheck{bad, Op::kLess, 1, bad, Aggregate::kMedian, 0}, result);
    one.facts.push_back({"route_taken", bad, {{"branch", bad}}});
    one.facts.push_back({"route_reason", bad, {{"branch", bad}}});
    measure(one, bad, bad, {1}, {{bad, bad}});
    one.record_errors = {bad};
    RunFacts facts = a_run(Status::kFail, {one}, false);
    facts.plan.report.subject = bad;
    facts.plan.code.repo = bad;
    facts.spec_file = bad;
    for (auto& [name, value] : facts.host)
        value = bad;
    return facts;
}

// Two cases, each with one warm-up and two repetitions; the host's tool was built from its bundle.
RunFacts repeated() {
    std::vector<CaseFacts> cases, warmups;
    for (const std::string repetition : {"w1", "1", "2"}) {
        for (const std::string sliding : {"sdpa", "fa2_dense"}) {
            CaseFacts one = decode_case("decode_" + sliding + "[repeat=" + repetition + "]", true,
                                        sliding == "sdpa"   ? 0.30
                                        : repetition == "1" ? 0.08
                                                            : 0.10,
                                        sliding);
            one.argv.front() = "/root/.nsa/tools/nsa_core-0123456789abcdef/bin/nsa-core";
            one.planned.matrix = {{"repeat", repetition}};
            one.planned.warmup = repetition == "w1";
            (one.planned.warmup ? warmups : cases).push_back(std::move(one));
        }
    }
    RunFacts facts = a_run(Status::kPass, std::move(cases), true);
    facts.warmups = std::move(warmups);
    facts.plan.repeat = {2, 1, true};
    facts.plan.code = {};
    facts.setup = {{0, ProcessEnd{}, 12.5, "configure nsa-core"}, {1, ProcessEnd{}, 340, "build nsa-core"}};
    return facts;
}

}  // namespace nsa::reports::synthetic
