// What a report says of the run itself: its files, its set-up, its tries.
#include <gmock/gmock.h>

#include "reports/render.hpp"
#include "synthetic.hpp"

namespace nsa::reports {
namespace {

using language::Status;
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

}  // namespace
}  // namespace nsa::reports
