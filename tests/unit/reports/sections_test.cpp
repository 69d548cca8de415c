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
}

}  // namespace
}  // namespace nsa::reports
