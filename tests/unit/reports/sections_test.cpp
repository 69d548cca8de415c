// What a report says of the run itself: its files, its set-up, its tries.
#include <gmock/gmock.h>

#include "language/hash.hpp"
#include "reports/render.hpp"
#include "synthetic.hpp"

namespace nsa::reports {
namespace {

using namespace language;
using synthetic::a_run;
using synthetic::parity_case;
using testing::HasSubstr;
using testing::Not;

TEST(Artifacts, Are_called_verified_only_when_their_hashes_were_held_against_the_hosts) {
    RunFacts facts = a_run(Status::kPass, {parity_case("sdpa", {})}, false);
    const std::string verified = "against the SHA-256 that the worker stated";
    facts.run.artifacts_verified = true;
    EXPECT_THAT(render(facts).markdown, HasSubstr(verified));
    facts.run.artifacts_verified = false;
    const std::string remains = render(facts).markdown;
    EXPECT_THAT(remains, Not(HasSubstr(verified)));
    EXPECT_THAT(remains, HasSubstr("the SHA-256 was made here"));
    facts.run.artifacts_verified.reset();  // published by a program that did not record it
    const std::string unknown = render(facts).markdown;
    EXPECT_THAT(unknown, Not(HasSubstr(verified)));
    EXPECT_THAT(unknown, Not(HasSubstr("made here")));
}

TEST(Setup, A_command_that_failed_leads_to_what_it_wrote) {
    RunFacts facts = synthetic::nothing_ran();
    facts.run.artifact_dir = "/srv/artifacts/r-0123456789abc/1";
    facts.host = {{"hostname", "gpu-7"}};
    facts.setup = {{0, {EndKind::kExited, 0, 0, false, ""}, 2, "configure"},
                   {1, {EndKind::kNotStarted, 0, 0, false, "nvcc: no such file"}, 0, "build"}};
    facts.artifacts = {{"setup/0/stderr", 0, sha256_of("")}, {"setup/0/stdout", 9, sha256_of("a")}};
    const std::string markdown = render(facts).markdown;
    EXPECT_THAT(markdown, HasSubstr("| 0 | configure | exit code 0 | 2 s | [stderr](1/setup/0/stderr)"));
    EXPECT_THAT(markdown, HasSubstr("| 1 | build | **could not be started (nvcc: no such file)** | 0 s | "
                                    "none came home |"));
    EXPECT_THAT(markdown, HasSubstr("nsactl logs r-0123456789abc --setup 1 --stderr"));
    EXPECT_THAT(render(facts).json, HasSubstr("nvcc: no such file"));
}

RunFacts passed_on_try_3() {
    RunFacts facts = a_run(Status::kPass, {parity_case("sdpa", {})}, false);
    facts.run.retries = 2;
    facts.run.attempt->attempt = Attempt{2};
    facts.run.attempts_over = Attempt{1};
    facts.plan.retry = {{FailureClass::kInfra}, 2};
    store::AttemptRow first;
    first.attempt = Attempt{1};
    first.begun_ms = facts.run.created_ms;
    store::AttemptRow second;
    second.attempt = Attempt{2};
    second.begun_ms = facts.run.finished_ms - 10'000;
    facts.attempts = {first, second};
    facts.failed_tries = {
        {1, Attempt{1}, InstanceName{"a100"}, Reason::kWorkerDied, "it | died", first.begun_ms + 90'000},
        {2, Attempt{0}, InstanceName{"a100"}, Reason::kProvisionTimeout, "", first.begun_ms + 95'000}};
    return facts;
}

TEST(Tries, A_pass_on_a_later_try_says_so_and_how_the_others_ended) {
    const RunFacts facts = passed_on_try_3();
    const std::string markdown = render(facts).markdown;
    EXPECT_THAT(markdown,
                HasSubstr("1 of 1 case passed; on try 3, for try 1 ended with worker_died, try 2 ended "
                          "with provision_timeout."));
    EXPECT_THAT(
        markdown,
        HasSubstr("| 1 | 1 | a100 | 2026-11-23 12:00:00 UTC | 1 min 30 s | worker_died: it \\| died |"));
    EXPECT_THAT(markdown, HasSubstr("| 2 | never launched | a100 | - | - | provision_timeout |"));
    EXPECT_THAT(markdown,
                HasSubstr("| 3 | 2 | local | 2026-11-23 12:01:00 UTC | 10 s | completed: the result"));
    EXPECT_THAT(markdown, HasSubstr("The result is that of try 3: try 1 on a100 ended with worker_died"));
    EXPECT_THAT(render(facts).json, HasSubstr("\"tries\":3,\"failed_tries\":[{\"try\":1,"));
}

TEST(Tries, Of_a_run_that_was_never_retried_there_is_no_word) {
    const std::string markdown = render(synthetic::gpu_pass()).markdown;
    EXPECT_THAT(markdown, Not(HasSubstr("Tries")));
    EXPECT_THAT(markdown, Not(HasSubstr("on try")));
}

TEST(Cost, Is_the_time_that_the_host_was_held_at_the_stated_price) {
    RunFacts facts = passed_on_try_3();
    facts.held_ms = 2 * 3'600'000;
    EXPECT_THAT(render(facts).markdown,
                HasSubstr("- Host: held for 2 h 00 min 00 s over 3 tries; the spec states no price"));
    facts.plan.budget.hourly = 2.5;
    facts.plan.budget.total = 7.5;
    EXPECT_THAT(
        render(facts).markdown,
        HasSubstr("- Host: held for 2 h 00 min 00 s over 3 tries, 5.00 at 2.5 an hour; budget 7.5\n"));
    EXPECT_THAT(render(facts).json,
                HasSubstr("\"host_time\":{\"held_seconds\":7.2E3,\"hourly\":2.5E0,\"cost\":5E0}"));
    facts.held_ms = 0;
    EXPECT_THAT(render(facts).markdown, Not(HasSubstr("- Host:")));
}

TEST(Memory, The_peak_of_a_case_stands_beside_its_end) {
    RunFacts facts = a_run(Status::kPass, {parity_case("sdpa", {})}, false);
    EXPECT_THAT(render(facts).markdown, HasSubstr("- Ended: exit code 0 after 1.25 s\n"));
    EXPECT_THAT(render(facts).json, HasSubstr("\"peak_rss_bytes\":null"));
    facts.cases[0].max_rss_kib = 1536;
    EXPECT_THAT(render(facts).markdown,
                HasSubstr("exit code 0 after 1.25 s, its largest process had 1.5 MiB of memory\n"));
    EXPECT_THAT(render(facts).json, HasSubstr("\"peak_rss_bytes\":1572864"));
}

}  // namespace
}  // namespace nsa::reports
