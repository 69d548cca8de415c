// Golden files as bytes: what is written is read back, what Python wrote is read, and hostile files are
// refused.
#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>

#include "files.hpp"
#include "nsa_core/errors.hpp"
#include "nsa_core/golden/pickle.hpp"
#include "nsa_core/golden/pt.hpp"
#include "nsa_core/golden/safetensors.hpp"
#include "nsa_core/golden/schema.hpp"

namespace nsa::core::golden {
namespace {

using ::testing::HasSubstr;

Bytes fixture(const std::string& name) {
    std::ifstream file{std::string{NSA_GOLDEN_FILES} + "/" + name, std::ios::binary};
    const std::string text{std::istreambuf_iterator<char>{file}, {}};
    EXPECT_FALSE(text.empty()) << name;
    return bytes_of(text);
}

void expect_same(const TensorFile& a, const TensorFile& b) {
    EXPECT_EQ(a.metadata, b.metadata);
    ASSERT_EQ(a.tensors.size(), b.tensors.size());
    for (const auto& [name, tensor] : a.tensors) {
        const StoredTensor& other = b.tensors.at(name);
        EXPECT_EQ(tensor.element, other.element) << name;
        EXPECT_EQ(tensor.shape, other.shape) << name;
        EXPECT_EQ(tensor.bytes, other.bytes) << name;
    }
}

TEST(GoldenFormats, WhatIsWrittenIsReadBack) {
    TensorFile file = attention_file();
    file.metadata["producer"] = "a \"quoted\" \\ name, \xC3\xA9";
    file.tensors["all"] = tensor(Element::kI32, {2, 3}, 0x5A);
    file.tensors["scalar"] = tensor(Element::kBf16, {}, 0x11);
    file.tensors["none"] = tensor(Element::kF16, {0, 7});
    expect_same(parse_safetensors(safetensors_bytes(file)), file);
    expect_same(parse_pt(pt_bytes(file)), file);
}

// A transposed view, a Parameter, two views of one storage: see make.py.
TEST(GoldenFormats, FilesOfTorchSaveAndOfPythonsSafetensorsAreRead) {
    const TensorFile pt = parse_pt(fixture("attention.pt"));
    const TensorFile safetensors = parse_safetensors(fixture("attention.safetensors"));
    EXPECT_EQ(pt.metadata, safetensors.metadata) << "numbers are spelled out";
    EXPECT_EQ(pt.tensors.at("q").shape, (std::vector<std::int64_t>{1, 4, 45, 8}));
    EXPECT_EQ(pt.tensors.at("k").element, Element::kF32);
    EXPECT_EQ(safetensors.tensors.at("k").element, Element::kBf16);
    // bf16 is the upper half of fp32 up to rounding, so the signs must agree everywhere: strides were obeyed.
    for (const char* name : {"q", "k", "v"}) {
        const Bytes& wide = pt.tensors.at(name).bytes;
        const Bytes& half = safetensors.tensors.at(name).bytes;
        ASSERT_EQ(wide.size(), 2 * half.size());
        for (std::size_t i = 0; i < half.size() / 2; ++i)
            ASSERT_EQ(wide[4 * i + 3] >> 7, half[2 * i + 1] >> 7) << name << " " << i;
    }
}

struct Hostile {
    std::string header;
    std::size_t data_bytes;
    const char* said;
};

TEST(GoldenFormats, HostileSafetensorsAreRefused) {
    const std::string deep(100'000, '[');
    const std::vector<Hostile> files{
        {"", 0, "no JSON at byte 0"},
        {"[]", 0, "the header is no object"},
        {"{} x", 0, "expected nothing more"},
        {R"({"a":1})", 0, "its entry is no object"},
        {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{}})", 4, "twice"},
        {R"({"a":{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 4, "twice"},
        {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,8]}})", 4, "do not lie within the 4 bytes"},
        {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}})", 4, "do not lie within"},
        {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,18446744073709551615]}})", 4, "whole numbers"},
        {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,99999999999999999999]}})", 4, "whole numbers"},
        {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}})", 4, "needs more bytes than the file"},
        {R"({"a":{"dtype":"F32","shape":[0],"data_offsets":[0,4]}})", 4, "needs 0 bytes"},
        {R"({"a":{"dtype":"F32","shape":[4294967296,4294967296,4],"data_offsets":[0,0]}})", 0,
         "more bytes than"},
        {R"({"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}})", 4, "whole numbers"},
        {R"({"a":{"dtype":"F32","shape":[1.0],"data_offsets":[0,4]}})", 4, "whole numbers"},
        {R"({"a":{"dtype":"F32","shape":[1,1,1,1,1,1,1,1,1],"data_offsets":[0,4]}})", 4, "9 axes"},
        {R"({"a":{"dtype":"F8_E4M3","shape":[4],"data_offsets":[0,4]}})", 4, "F8_E4M3"},
        {R"({"a":{"dtype":7,"shape":[4],"data_offsets":[0,4]}})", 4, "of dtype"},
        {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"code":"x"}})", 4, "alone"},
        {R"({"a":{"dtype":"F32","shape":[1]}})", 4, "alone"},
        {R"({"a":{"dtype":"F32","shape":[1],"offsets":[0,4]}})", 4, "has no data_offsets"},
        {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})",
         4, "overlaps"},
        {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})", 8, "hole"},
        {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 8, "belong to no tensor"},
        {R"({"__metadata__":{"l":8}})", 0, "no text"},
        {R"({"__metadata__":[]})", 0, "no object"},
        {R"({"a\u0000b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 4, "control characters"},
        {R"({"\ud800":{}})", 0, "surrogate"},
        {"{\"a\":" + deep, 0, "no deeper nesting"},
        {R"({"a":tru})", 0, "a value"},
    };
    for (const Hostile& file : files) {
        EXPECT_THAT(fault_of_safetensors(safetensors_of(file.header, file.data_bytes)), HasSubstr(file.said))
            << file.header.substr(0, 200);
    }
}

TEST(GoldenFormats, AHeaderLongerThanTheFileOrThanAnyNeedIsRefused) {
    Bytes bytes = safetensors_of("{}", 0);
    EXPECT_EQ(fault_of_safetensors(bytes), "read");
    bytes[7] = std::byte{0xFF};
    EXPECT_THAT(fault_of_safetensors(bytes), HasSubstr("the header says it is"));
    EXPECT_THAT(fault_of_safetensors(ByteView{bytes}.first(5)), HasSubstr("ends within the header's length"));
    EXPECT_THAT(fault_of_safetensors(safetensors_of(std::string(kMostHeaderBytes + 1, ' '), 0)),
                HasSubstr("at most"));
}

TEST(GoldenFormats, AFileCutAnywhereIsRefused) {
    const TensorFile file = attention_file();
    const Bytes safetensors = safetensors_bytes(file);
    for (std::size_t size = 0; size < safetensors.size(); ++size)
        EXPECT_NE(fault_of_safetensors(ByteView{safetensors}.first(size)), "read") << size;
    const Bytes pt = pt_bytes(file);
    for (std::size_t size = 0; size < pt.size(); ++size)
        EXPECT_NE(fault_of_pt(ByteView{pt}.first(size)), "read") << size;
}

// One of several changes of the bytes, all of them drawn from `random`.
void mutate(Bytes& bytes, std::mt19937_64& random) {
    const auto below = [&](std::size_t bound) { return static_cast<std::size_t>(random() % bound); };
    const std::size_t changes = 1 + below(4);
    for (std::size_t i = 0; i < changes && bytes.size() > 1; ++i) {
        const std::size_t at = below(bytes.size());
        switch (below(6)) {
            case 0:
                bytes[at] ^= static_cast<std::byte>(1u << below(8));
                break;
            case 1:
                bytes[at] = static_cast<std::byte>(below(256));
                break;
            case 2:
                bytes[at] = std::byte{0xFF};
                break;
            case 3:
                bytes.resize(at + 1);
                break;
            case 4:
                bytes.erase(bytes.begin() + static_cast<std::ptrdiff_t>(at));
                break;
            default: {
                const std::size_t count = std::min<std::size_t>(1 + below(16), bytes.size() - at);
                const Bytes copy{bytes.begin() + static_cast<std::ptrdiff_t>(at),
                                 bytes.begin() + static_cast<std::ptrdiff_t>(at + count)};
                bytes.insert(bytes.begin() + static_cast<std::ptrdiff_t>(below(bytes.size())), copy.begin(),
                             copy.end());
            }
        }
    }
}

// Reading ends in a value or in InputError; a crash, another exception or a sanitiser's finding fails the
// test.
template <typename Parse>
int survivors(const Parse& parse, const Bytes& original, int rounds) {
    std::mt19937_64 random{20261129};
    int read = 0;
    for (int round = 0; round < rounds; ++round) {
        Bytes bytes = original;
        mutate(bytes, random);
        try {
            (void)golden_of(parse(bytes));
            ++read;
        } catch (const InputError& error) {
            EXPECT_STRNE(error.what(), "");
        }
    }
    return read;
}

TEST(GoldenFormats, RandomlyDamagedFilesAreReadOrRefused) {
    constexpr int kRounds = 10'000;
    const TensorFile file = attention_file();
    const int safetensors = survivors(parse_safetensors, safetensors_bytes(file), kRounds);
    EXPECT_GT(safetensors, 0) << "some damage hits bytes of no consequence";
    EXPECT_LT(safetensors, kRounds / 2);
    // The checksums of a zip stop almost all damage at the door; the pickle behind them is damaged by itself.
    const PickledFile pickled{.metadata = file.metadata, .tensors = {{"q", view()}}};
    const auto unpacked = [](ByteView pickle) { return parse_pt(pt_of(characters(pickle), kStorageBytes)); };
    (void)survivors(unpacked, pickle_bytes(pickled), kRounds);
    (void)survivors(parse_pt, pt_bytes(file), kRounds);
}

}  // namespace
}  // namespace nsa::core::golden
