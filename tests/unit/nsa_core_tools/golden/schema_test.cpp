// What a golden file must say and hold, and what it makes of a parity run's options.
#include <gmock/gmock.h>

#include <cstring>
#include <functional>

#include "files.hpp"
#include "nsa_core/errors.hpp"
#include "nsa_core/golden/schema.hpp"
#include "nsa_core/parity/golden_plan.hpp"

namespace nsa::core::golden {
namespace {

using parity::ParityOptions;
using parity::Subject;
using ::testing::HasSubstr;

std::string fault_of(const std::function<void()>& work) {
    try {
        work();
        return "good";
    } catch (const InputError& error) {
        return error.what();
    }
}

std::string fault_with(const std::function<void(TensorFile&)>& change, TensorFile file = attention_file()) {
    change(file);
    return fault_of([&] { (void)golden_of(std::move(file)); });
}

TensorFile layer_file() {
    TensorFile file;
    file.metadata = {{"schema", "nsa-golden-1"},
                     {"scope", "layer"},
                     {"l", "4"},
                     {"d", "2"},
                     {"l_sel", "4"},
                     {"n", "3"},
                     {"w", "4"},
                     {"heads", "2"},
                     {"groups", "1"},
                     {"dk", "4"},
                     {"dv", "2"},
                     {"gate_hidden", "5"},
                     {"rope", "true"},
                     {"gate", "softmax"}};
    file.tensors = {
        {"x", tensor(Element::kF32, {1, 3, 8})},        {"out", tensor(Element::kF32, {1, 3, 8})},
        {"weight.wq", tensor(Element::kF32, {8, 8})},   {"weight.gate_w1", tensor(Element::kF32, {5, 8})},
        {"weight.gate_b1", tensor(Element::kF32, {5})}, {"weight.gate_w2", tensor(Element::kF32, {6, 5})},
        {"weight.gate_b2", tensor(Element::kF32, {6})}, {"weight.wo", tensor(Element::kF32, {8, 4})}};
    for (const std::string branch : {"cmp", "sel", "win"}) {
        file.tensors["weight.wk_" + branch] = tensor(Element::kF32, {4, 8});
        file.tensors["weight.wv_" + branch] = tensor(Element::kF32, {2, 8});
    }
    return file;
}

TEST(GoldenSchema, ShapesAndTypesComeFromTheTensors) {
    const Golden golden = golden_of(attention_file());
    EXPECT_EQ(golden.scope, Scope::kAttention);
    EXPECT_EQ(golden.batch, 1);
    EXPECT_EQ(golden.seq, 3);
    EXPECT_EQ(golden.dtype, DType::kFp32);
    EXPECT_EQ(golden.config.heads, 2);
    EXPECT_EQ(golden.config.groups, 1);
    EXPECT_EQ(golden.config.dk, 4);
    EXPECT_EQ(golden.config.dv, 2);
    EXPECT_EQ(golden.config.l_sel, 4);
    const Golden layer = golden_of(layer_file());
    EXPECT_EQ(layer.config.dim, 8);
    EXPECT_TRUE(layer.config.rope);
    EXPECT_EQ(layer.config.gate, GateKind::kSoftmax);
}

TEST(GoldenSchema, MetadataGoesRoundTrip) {
    for (const Golden& golden : {golden_of(attention_file()), golden_of(layer_file())}) {
        TensorFile file{.metadata = metadata_of(golden.config, golden.scope, "test"),
                        .tensors = golden.tensors};
        const Golden again = golden_of(std::move(file));
        EXPECT_EQ(again.config, golden.config);
        EXPECT_EQ(again.producer, "test");
    }
}

TEST(GoldenSchema, MetadataIsStrict) {
    EXPECT_EQ(fault_with([](auto& f) { f.metadata["format"] = "pt"; }), "good");
    EXPECT_THAT(fault_with([](auto& f) { f.metadata.erase("schema"); }), HasSubstr("there is none"));
    EXPECT_THAT(fault_with([](auto& f) { f.metadata["schema"] = "nsa-golden-2"; }),
                HasSubstr("nsa-golden-1"));
    EXPECT_THAT(fault_with([](auto& f) { f.metadata["scope"] = "all"; }), HasSubstr("attention, layer"));
    EXPECT_THAT(fault_with([](auto& f) { f.metadata.erase("w"); }), HasSubstr("metadata w is missing"));
    EXPECT_THAT(fault_with([](auto& f) { f.metadata["w"] = "-4"; }), HasSubstr("\"-4\""));
    EXPECT_THAT(fault_with([](auto& f) { f.metadata["w"] = "4.0"; }), HasSubstr("whole number"));
    EXPECT_THAT(fault_with([](auto& f) { f.metadata["w"] = "99999999999999999999"; }),
                HasSubstr("whole number"));
    EXPECT_THAT(fault_with([](auto& f) { f.metadata["prodcuer"] = "x"; }),
                HasSubstr("did you mean producer?"));
    EXPECT_THAT(fault_with([](auto& f) { f.metadata["rope"] = "true"; }), HasSubstr("not of the schema"));
    EXPECT_THAT(fault_with([](auto& f) { f.metadata["d"] = "3"; }), HasSubstr("d"));
    EXPECT_THAT(fault_with([](auto& f) { f.metadata["l_sel"] = "0"; }), HasSubstr("l_sel is 0"));
    EXPECT_THAT(fault_with([](auto& f) { f.metadata["rope_base"] = "nan"; }, layer_file()),
                HasSubstr("above 1"));
    EXPECT_THAT(fault_with([](auto& f) { f.metadata["gate"] = "relu"; }, layer_file()),
                HasSubstr("sigmoid, softmax"));
}

TEST(GoldenSchema, TensorsAreStrict) {
    EXPECT_THAT(fault_with([](auto& f) { f.tensors.erase("k"); }), HasSubstr("k [B,G,S,dk] is missing"));
    EXPECT_THAT(fault_with([](auto& f) {
                    f.tensors["q"] = tensor(Element::kF32, {2, 3, 4});
                }),
                HasSubstr("q is [2,3,4]; it must be [B,H,S,dk]"));
    EXPECT_THAT(fault_with([](auto& f) {
                    f.tensors["q"] = tensor(Element::kF32, {1, 2, 0, 4});
                }),
                HasSubstr("it must be [B,H,S,dk]"));
    EXPECT_THAT(fault_with([](auto& f) {
                    f.tensors["k"] = tensor(Element::kF32, {1, 1, 4, 4});
                }),
                HasSubstr("k is [1,1,4,4]"));
    EXPECT_THAT(fault_with([](auto& f) {
                    f.tensors["k"] = tensor(Element::kF16, {1, 1, 3, 4});
                }),
                HasSubstr("not of the type of the other inputs"));
    EXPECT_THAT(fault_with([](auto& f) {
                    f.tensors["q"] = tensor(Element::kI32, {1, 2, 3, 4});
                }),
                HasSubstr("holds integers"));
    EXPECT_THAT(fault_with([](auto& f) {
                    f.tensors["sliding"] = tensor(Element::kF64, {1, 2, 3, 4});
                }),
                HasSubstr("must be [1,2,3,2]"));
    EXPECT_THAT(fault_with([](auto& f) {
                    f.tensors["out"] = tensor(Element::kF64, {1, 2, 3, 2});
                }),
                HasSubstr("out is not of the schema of scope attention"));
    EXPECT_THAT(fault_with([](auto& f) {
                    f.tensors["candidate.q"] = tensor(Element::kF64, {1, 2, 3, 2});
                }),
                HasSubstr("candidate.q is not of the schema"));
    EXPECT_THAT(fault_with([](auto& f) {
                    f.tensors["q"] = tensor(Element::kF32, {1, 3, 3, 4});
                }),
                HasSubstr("must be"));
}

TEST(GoldenSchema, GradientsAreShapedAsTheirInputsAndCompleteOrNotThere) {
    EXPECT_EQ(fault_with([](auto& f) {
                  f.tensors["candidate.sliding.d_v"] = tensor(Element::kF32, {1, 1, 3, 2}, 0xFF);
              }),
              "good");
    EXPECT_EQ(fault_with([](auto& f) {
                  for (const char* gradient : {"sliding.d_q", "sliding.d_k", "sliding.d_v"})
                      f.tensors.erase(gradient);
              }),
              "good")
        << "d_out alone: the oracle's gradients are the truth";
    EXPECT_THAT(fault_with([](auto& f) { f.tensors.erase("d_out"); }),
                HasSubstr("sliding.d_k is there and d_out is missing"));
    EXPECT_THAT(fault_with([](auto& f) { f.tensors.erase("sliding.d_q"); }),
                HasSubstr("sliding.d_q is missing: gradients go with d_out, and with those of all inputs"));
    EXPECT_THAT(fault_with([](auto& f) {
                    f.tensors["sliding.d_k"] = tensor(Element::kF64, {1, 2, 3, 4});
                }),
                HasSubstr("sliding.d_k is [1,2,3,4]"));
    EXPECT_THAT(fault_with([](auto& f) {
                    f.tensors["sliding.d_k"] = tensor(Element::kI64, {1, 1, 3, 4});
                }),
                HasSubstr("sliding.d_k holds integers"));
    EXPECT_THAT(fault_with([](auto& f) {
                    f.tensors["sliding.d_k"] = tensor(Element::kF64, {1, 1, 3, 4}, 0xFF);
                }),
                HasSubstr("sliding.d_k holds a NaN"));
    EXPECT_THAT(fault_with([](auto& f) {
                    f.tensors["d_out"] = tensor(Element::kF64, {1, 2, 3, 2});
                }),
                HasSubstr("d_out is not of the type of the other inputs"));
    for (const char* name : {"sliding.d_w", "d_q", "blocks.d_q", "sliding.", "sliding.d_", ".d_q",
                             "candidate.d_out", "candidate.candidate.sliding", "selected.d_q.d_q"}) {
        EXPECT_THAT(fault_with([&](auto& f) {
                        f.tensors[name] = tensor(Element::kF64, {1, 2, 3, 4});
                    }),
                    HasSubstr("is not of the schema of scope attention"))
            << name;
    }
}

TEST(GoldenSchema, GradientsOfALayerAreOfItsInputAndAllItsWeights) {
    const auto with = [](const std::function<void(TensorFile&)>& change) {
        TensorFile file = layer_file();
        file.tensors["d_out"] = tensor(Element::kF32, {1, 3, 8});
        for (const auto& [name, input] : layer_file().tensors)
            if (name != "out") file.tensors["d_" + name] = tensor(Element::kF64, input.shape);
        return fault_with(change, std::move(file));
    };
    EXPECT_EQ(with([](auto&) {}), "good");
    EXPECT_THAT(with([](auto& f) { f.tensors.erase("d_weight.wq"); }), HasSubstr("d_weight.wq is missing"));
    EXPECT_THAT(with([](auto& f) {
                    f.tensors["d_weight.wk"] = tensor(Element::kF64, {8, 8});
                }),
                HasSubstr("d_weight.wk is not of the schema of scope layer"));
    EXPECT_THAT(with([](auto& f) {
                    f.tensors["d_weight.wq"] = tensor(Element::kF64, {8, 4});
                }),
                HasSubstr("must be [8,8]"));
}

// A layer is drawn before the file's weights are copied into it: a small file must not ask for a large one.
TEST(GoldenSchema, ALayersWeightsAreThoseThatItsConfigurationAsksFor) {
    const auto with = [](const std::function<void(TensorFile&)>& change) {
        return fault_with(change, layer_file());
    };
    EXPECT_EQ(with([](auto&) {}), "good");
    EXPECT_THAT(with([](auto& f) { f.metadata["heads"] = f.metadata["dk"] = f.metadata["dv"] = "1048576"; }),
                HasSubstr("tensor weight.wq is [8,8]; with these inputs and this configuration it must be "
                          "[1099511627776,8]"));
    EXPECT_THAT(with([](auto& f) { f.metadata["gate_hidden"] = "1048576"; }),
                HasSubstr("weight.gate_w1 is [5,8]"));
    EXPECT_THAT(with([](auto& f) { f.metadata["compressor"] = "mlp"; }),
                HasSubstr("it has no tensor weight.phi_k.position [4,4]"));
    EXPECT_THAT(with([](auto& f) { f.tensors.erase("weight.wo"); }),
                HasSubstr("it has no tensor weight.wo [8,4]"));
    EXPECT_THAT(with([](auto& f) {
                    f.tensors["weight.wz"] = tensor(Element::kF32, {8, 8});
                }),
                HasSubstr("it has weights that a layer of this configuration has not"));
}

TEST(GoldenSchema, OnlyACandidateMayHoldWhatIsNotANumber) {
    EXPECT_EQ(fault_with([](auto& f) {
                  f.tensors["candidate.sliding"] = tensor(Element::kF64, {1, 2, 3, 2}, 0xFF);
              }),
              "good");
    for (const Element element : {Element::kF64, Element::kF32, Element::kF16, Element::kBf16}) {
        EXPECT_THAT(fault_with([&](auto& f) {
                        f.tensors["sliding"] = tensor(element, {1, 2, 3, 2}, 0xFF);
                    }),
                    HasSubstr("sliding holds a NaN or an infinity, at element 0"))
            << name(element);
    }
}

void set_block(TensorFile& file, std::int64_t value) {
    std::memcpy(file.tensors["blocks"].bytes.data() + 8, &value, sizeof value);
}

TEST(GoldenSchema, BlocksMustBeAscendingAndNoneAfterTheQuery) {
    for (const std::int64_t block : {INT64_C(-1), INT64_C(1), INT64_MAX, INT64_MIN})
        EXPECT_THAT(fault_with([&](auto& f) { set_block(f, block); }), HasSubstr("row 1 (query 1)")) << block;
    EXPECT_THAT(fault_with([](auto& f) {
                    f.tensors["blocks"] = tensor(Element::kI64, {1, 1, 3, 2});
                }),
                HasSubstr("must be [1,1,3,1]"));
    EXPECT_THAT(fault_with([](auto& f) {
                    f.tensors["blocks"] = tensor(Element::kF32, {1, 1, 3, 1});
                }),
                HasSubstr("I64 or I32"));
}

ParityOptions asking(Subject subject) {
    ParityOptions options;
    options.subject = subject;
    options.golden = "file.pt";
    return options;
}

TEST(GoldenPlan, TheFileDecidesShapeConfigurationAndType) {
    const Golden golden = golden_of(attention_file());
    const ParityOptions options = options_of(asking(Subject::kSliding), golden);
    EXPECT_EQ(options.seq, 3);
    EXPECT_EQ(options.heads, 2);
    EXPECT_EQ(options.w, 4);
    EXPECT_EQ(options.dtype, DType::kFp32);
    ParityOptions wide = asking(Subject::kSliding);
    wide.dtype = DType::kFp64;
    wide.given = {"--dtype"};
    EXPECT_EQ(options_of(wide, golden).dtype, DType::kFp64);
    EXPECT_TRUE(options.gradients);
    EXPECT_FALSE(options_of(asking(Subject::kCompressed), golden).gradients) << "the file has none of it";
    wide.given = {"--gradients"};
    EXPECT_FALSE(options_of(wide, golden).gradients) << "--gradients off";
}

TEST(GoldenPlan, WhatDoesNotGoWithAFileIsRefused) {
    const auto refused = [](const std::function<void(ParityOptions&)>& change,
                            const RoutePolicy& policy = {}) {
        ParityOptions options = asking(Subject::kSliding);
        change(options);
        return fault_of([&] { check_files(options, policy); });
    };
    EXPECT_EQ(refused([](auto&) {}), "good");
    EXPECT_THAT(refused([](auto& o) { o.given = {"--heads"}; }), HasSubstr("--heads and --golden"));
    EXPECT_THAT(refused([](auto& o) { o.trials = 2; }), HasSubstr("leave --trials out"));
    EXPECT_THAT(refused([](auto& o) { o.subject = Subject::kDecodeStep; }), HasSubstr("paged cache"));
    EXPECT_THAT(refused([](auto& o) { o.golden = "", o.dump = "x.pt", o.trials = 2; }), HasSubstr("--dump"));
    EXPECT_EQ(refused([](auto& o) { o.golden = "", o.dump = "x.pt", o.given = {"--heads"}; }), "good");
    RoutePolicy forced;
    forced.force_branch = Branch::kSliding;
    EXPECT_THAT(refused([](auto&) {}, forced), HasSubstr("NSA_FORCE_BRANCH"));

    TensorFile file = attention_file();
    file.tensors.erase("selected");
    const Golden golden = golden_of(std::move(file));
    EXPECT_THAT(fault_of([&] { (void)options_of(asking(Subject::kSelected), golden); }),
                HasSubstr("no tensor selected"));
    EXPECT_THAT(fault_of([&] { (void)options_of(asking(Subject::kModule), golden); }),
                HasSubstr("no tensor out"));
}

}  // namespace
}  // namespace nsa::core::golden
