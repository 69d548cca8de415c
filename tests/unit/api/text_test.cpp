// Targets, UTF-8 and the JSON of the views.
#include <gtest/gtest.h>

#include "api/json.hpp"
#include "api/router.hpp"
#include "api/target.hpp"
#include "fake_service.hpp"

namespace nsa::api {
namespace {

TEST(Targets, are_split_and_decoded) {
    const auto target = parse_target("/v1/runs/r-1/log?case=a%5BS%3D512%5D&wait_ms=5&flag");
    ASSERT_TRUE(target.has_value());
    EXPECT_EQ(target->path, (std::vector<std::string>{"v1", "runs", "r-1", "log"}));
    EXPECT_EQ(target->query,
              (std::map<std::string, std::string>{{"case", "a[S=512]"}, {"wait_ms", "5"}, {"flag", ""}}));
}

TEST(Targets, that_are_ambiguous_or_broken_are_refused) {
    for (const char* text : {"", "v1", "/", "//", "/v1//runs", "/v1/", "/v1/%", "/v1/%4", "/v1/%4g",
                             "/v1/a%00b", "/v1?", "/v1?a=1&a=2", "/v1?=1", "/v1?a=%", "http://x/v1"})
        EXPECT_FALSE(parse_target(text).has_value()) << text;
}

TEST(Targets, carry_any_text_there_and_back) {
    std::string all;
    for (int c = 1; c < 256; ++c)
        all += static_cast<char>(c);
    const auto target = parse_target("/" + percent_encode(all) + "?k=" + percent_encode(all));
    ASSERT_TRUE(target.has_value());
    EXPECT_EQ(target->path, std::vector<std::string>{all});
    EXPECT_EQ(target->query.at("k"), all);
}

TEST(Json, of_a_run_has_the_documented_fields_and_survives_the_way) {
    RunView view = test::full_run_view();
    view.cases.clear();
    view.status.reset();
    EXPECT_EQ(
        to_json_text(view),
        R"({"run":"r-0123456789abc","name":"fa2_routing","subject":"FA2 Routing Verification",)"
        R"("state":"DONE","reason":"completed","message":"1 gate failed","status":null,)"
        R"("instance":"a100","attempt":3,"created_ms":1795442400000,"started_ms":1795442401000,)"
        R"("finished_ms":1795442490000,"version":42,"cases":[],"report_path":"/artifacts/report v1.md"})");
    EXPECT_EQ(from_json_text<RunView>(to_json_text(view)).value(), view);
    EXPECT_EQ(from_json_text<RunView>(to_json_text(test::full_run_view())).value(), test::full_run_view());
}

TEST(Json, that_is_wrong_says_where) {
    const std::string good = to_json_text(test::full_instance_view());
    EXPECT_EQ(from_json_text<InstanceView>("[" + good).error().code, ErrorCode::kProtocol);
    std::string wrong = good;
    wrong.replace(wrong.find("\"1\""), 3, "1");
    EXPECT_EQ(from_json_text<InstanceView>(wrong).error().where, "JSON.facts.gpu_count");
}

TEST(Json, of_an_unknown_error_code_is_not_guessed_at) {
    EXPECT_FALSE(error_from_json_text(R"({"code":"new","text":"t","where":"w"})").has_value());
}

TEST(HttpStatus, of_each_error_code_is_the_documented_one) {
    const std::pair<ErrorCode, int> rows[] = {
        {ErrorCode::kInvalidSpec, 422}, {ErrorCode::kUsage, 400},          {ErrorCode::kNotFound, 404},
        {ErrorCode::kConflict, 409},    {ErrorCode::kHostKeyRefused, 403}, {ErrorCode::kAuthRefused, 403},
        {ErrorCode::kRefused, 403},     {ErrorCode::kUnreachable, 502},    {ErrorCode::kTimeout, 504},
        {ErrorCode::kProtocol, 502},    {ErrorCode::kNoSpace, 507},        {ErrorCode::kCorrupt, 500},
        {ErrorCode::kInternal, 500}};
    for (const auto& [code, status] : rows)
        EXPECT_EQ(http_status_of(code), status) << to_string(code);
}

}  // namespace
}  // namespace nsa::api
