#include <gmock/gmock.h>

#include <boost/json.hpp>
#include <cstring>
#include <fstream>

#include "program.hpp"

namespace nsa::core {
namespace {

using ::testing::HasSubstr;

using Golden = Program;

const std::string kFiles = NSA_GOLDEN_FILES;

std::string bytes_of(const std::string& file) {
    std::ifstream stream{file, std::ios::binary};
    return {std::istreambuf_iterator<char>{stream}, {}};
}

void write(const std::string& file, const std::string& bytes) {
    std::ofstream{file, std::ios::binary} << bytes;
}

// The .safetensors file with the first value of an F64 tensor far from what it was.
std::string with_a_wrong_value(std::string bytes, const std::string& tensor) {
    std::uint64_t header = 0;
    std::memcpy(&header, bytes.data(), sizeof header);
    const auto stored = boost::json::parse(bytes.substr(sizeof header, header)).at(tensor);
    const double wrong = 100;
    std::memcpy(
        bytes.data() + sizeof header + header + stored.at("data_offsets").at(0).to_number<std::size_t>(),
        &wrong, sizeof wrong);
    return bytes;
}

// Outputs that an implementation of another origin computed in fp64: golden/make.py.
TEST_F(Golden, EveryBranchAndTheOracleAgreeWithFilesThatPythonMade) {
    for (const char* branch : {"sliding", "compressed", "selected"}) {
        const Ended pt = run({"parity", "--branch", branch, "--golden", kFiles + "/attention.pt"});
        ASSERT_EQ(pt.exit_code, 0) << pt.err;
        EXPECT_LT(pt.metric("mae"), 1e-6) << branch;
        EXPECT_LT(pt.metric("golden_vs_oracle_max_abs"), 1e-14) << branch;
        EXPECT_EQ(pt.fact("oracle"), "golden");
        EXPECT_EQ(pt.fact("golden_producer"), "make.py");
        const Ended half = run({"parity", "--branch", branch, "--golden", kFiles + "/attention.safetensors"});
        ASSERT_EQ(half.exit_code, 0) << half.err;
        EXPECT_EQ(half.fact("dtype"), "bf16");
        EXPECT_LT(half.metric("mae"), 2 * half.metric("baseline_mae"));
        EXPECT_LT(half.metric("golden_vs_oracle_max_abs"), 1e-14) << branch;
        for (const Ended& ended : {pt, half})
            EXPECT_LT(ended.metric("golden_vs_oracle_gradients_rel_l2"), 1e-14) << branch;
        EXPECT_LT(pt.metric("dq_rel_l2"), 1e-6) << branch;
        EXPECT_LE(half.metric("gradients_bound_ratio"), 1) << branch;
    }
}

TEST_F(Golden, WhatIsDumpedIsJudgedAlikeWhenItComesBack) {
    // Each file costs two starts of the program, so branches and formats share them.
    const std::vector<std::tuple<std::string, std::string, std::string>> cases{
        {"selected", "pt", "on"}, {"module", "pt", "on"}, {"decode", "safetensors", "off"}};
    for (const auto& [branch, format, gradients] : cases) {
        const std::string file = (folder_ / (branch + "." + format)).string();
        const Ended first =
            run({"parity", "--branch", branch, "--seq",  "40", "--dk",        "8",      "--dv",
                 "6",      "--l",      "8",    "--d",    "4",  "--l-sel",     "8",      "--n",
                 "4",      "--w",      "9",    "--dump", file, "--gradients", gradients});
        ASSERT_EQ(first.exit_code, 0) << first.err;
        const Ended again = run({"parity", "--branch", branch, "--golden", file});
        ASSERT_EQ(again.exit_code, 0) << again.err;
        EXPECT_EQ(again.metric("mae"), first.metric("mae")) << file;
        EXPECT_EQ(again.metric("baseline_mae"), first.metric("baseline_mae")) << file;
        EXPECT_EQ(again.metric("golden_vs_oracle_mae"), 0) << file;
        if (branch != "decode") {
            EXPECT_EQ(again.metric("bound_ratio"), first.metric("bound_ratio")) << file;
        }
        if (gradients == "off") continue;
        EXPECT_EQ(again.metric("gradients_bound_ratio"), first.metric("gradients_bound_ratio")) << file;
        EXPECT_EQ(again.metric("golden_vs_oracle_gradients_rel_l2"), 0) << file;
    }
}

TEST_F(Golden, AnOutputThatIsWrongIsFarFromRouteAndOracleAlike) {
    std::string bytes = bytes_of(kFiles + "/attention.safetensors");
    const std::string broken = (folder_ / "broken.safetensors").string();
    // Compressed and sliding outputs change their names: lengths of names and header stay.
    const auto swap = [&](const std::string& name, const std::string& by) {
        const std::size_t at = bytes.find("\"" + name + "\"");
        ASSERT_NE(at, std::string::npos);
        bytes.replace(at, name.size() + 2, "\"" + by + "\"" + std::string(name.size() - by.size(), ' '));
    };
    swap("sliding", "holding");
    swap("compressed", "sliding");
    write(broken, bytes);
    const Ended unknown = run({"parity", "--branch", "sliding", "--golden", broken});
    EXPECT_EQ(unknown.exit_code, 2);
    EXPECT_THAT(unknown.err, HasSubstr("holding is not of the schema"));
    const std::size_t at = bytes.find("\"holding\"");
    bytes.replace(at, 9,
                  "\""
                  "candidate.sliding"
                  "\"");
    bytes[0] =
        static_cast<char>(static_cast<unsigned char>(bytes[0]) + 10);  // the header is ten bytes longer
    write(broken, bytes);
    const Ended wrong = run({"parity", "--branch", "sliding", "--golden", broken});
    ASSERT_EQ(wrong.exit_code, 0) << wrong.err;
    EXPECT_GT(wrong.metric("mae"), 0.1);
    EXPECT_GT(wrong.metric("bound_ratio"), 10) << "a wrong file must not widen its own bound";
    EXPECT_NEAR(wrong.metric("golden_vs_oracle_mae"), wrong.metric("mae"), 0.01);
}

TEST_F(Golden, AGradientThatIsWrongIsFarFromRouteAndOracleAlike) {
    const std::string broken = (folder_ / "broken.safetensors").string();
    write(broken, with_a_wrong_value(bytes_of(kFiles + "/attention.safetensors"), "selected.d_k"));
    const Ended ended = run({"parity", "--branch", "selected", "--golden", broken});
    ASSERT_EQ(ended.exit_code, 0) << ended.err;
    EXPECT_GT(ended.metric("gradients_bound_ratio"), 10);
    EXPECT_GT(ended.metric("golden_vs_oracle_gradients_rel_l2"), 1);
    EXPECT_LT(ended.metric("dq_bound_ratio"), 1) << "the others are as they were";
}

TEST_F(Golden, MistakesExitWith2AndSayWhatWouldBeRight) {
    const std::string pt = kFiles + "/attention.pt";
    std::ofstream{folder_ / "bad.pt"} << "no zip at all, but long enough to be one";
    const std::vector<std::pair<std::vector<std::string>, std::string>> mistakes{
        {{"--golden", (folder_ / "bad.pt").string()}, "bad.pt: there is no end of a zip archive"},
        {{"--golden", pt, "--seq", "64"}, "--seq and --golden"},
        {{"--golden", pt, "--dtype", "fp16"}, "would round tensor q"},
        {{"--dump", "/no/such/folder/x.pt"}, "/no/such/folder/x.pt"},
        {{"--dump", (folder_ / "x.npz").string()}, ".safetensors or .pt"},
    };
    for (const auto& [args, said] : mistakes) {
        std::vector<std::string> all{"parity"};
        all.insert(all.end(), args.begin(), args.end());
        const Ended ended = run(all);
        EXPECT_EQ(ended.exit_code, 2) << said << ended.err;
        EXPECT_THAT(ended.err, HasSubstr(said));
    }
}

TEST_F(Golden, ALayersOutputThatIsWrongBreaksItsBound) {
    const std::string file = (folder_ / "layer.safetensors").string();
    const Ended right = run({"parity", "--branch", "module", "--dtype", "bf16", "--seq", "8", "--dk", "4",
                             "--dv", "4", "--dump", file});
    ASSERT_EQ(right.exit_code, 0) << right.err;
    EXPECT_LE(right.metric("bound_ratio"), 1);
    write(file, with_a_wrong_value(bytes_of(file), "out"));
    const Ended wrong = run({"parity", "--branch", "module", "--golden", file});
    ASSERT_EQ(wrong.exit_code, 0) << wrong.err;
    EXPECT_GT(wrong.metric("bound_ratio"), 10) << "a wrong file must not widen its own bound";
}

// A route must not be judged over a golden file whose weights are not the layer's.
TEST_F(Golden, WeightsMustBeThoseOfTheLayer) {
    const std::string file = (folder_ / "layer.safetensors").string();
    ASSERT_EQ(run({"parity", "--branch", "module", "--seq", "8", "--dk", "4", "--dv", "4", "--dump", file})
                  .exit_code,
              0);
    std::string bytes = text_of("layer.safetensors");
    const std::size_t at = bytes.find("weight.wq");
    ASSERT_NE(at, std::string::npos);
    bytes.replace(at, 9, "weight.xx");
    write(file, bytes);
    const Ended ended = run({"parity", "--branch", "module", "--golden", file});
    EXPECT_EQ(ended.exit_code, 2);
    EXPECT_THAT(ended.err, HasSubstr("it has no tensor weight.wq"));
}

}  // namespace
}  // namespace nsa::core
