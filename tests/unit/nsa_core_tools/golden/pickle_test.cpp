// The .pt side of golden files: pickles that call, lie about their storages or are damaged; zips that do.
#include <gmock/gmock.h>

#include <functional>

#include "files.hpp"
#include "nsa_core/golden/pickle.hpp"
#include "nsa_core/golden/pt.hpp"
#include "nsa_core/golden/zip.hpp"

namespace nsa::core::golden {
namespace {

using ::testing::HasSubstr;

std::string text(std::string_view raw) {
    return std::string{raw};
}

// BINUNICODE.
std::string unicode(std::string_view value) {
    std::string out = "X";
    for (int i = 0; i < 4; ++i)
        out += static_cast<char>(value.size() >> (8 * i) & 0xFF);
    return out + text(value);
}

// A dictionary whose one entry "q" is what `body` leaves on the stack.
std::string holding(const std::string& body) {
    return "\x80\x02}" + unicode("q") + body + "s.";
}

std::string fault_of_view(const TensorView& changed) {
    const PickledFile file{.metadata = {}, .tensors = {{"q", changed}}};
    return fault_of_pt(pt_of(characters(pickle_bytes(file)), kStorageBytes));
}

TEST(GoldenPickle, NothingIsCalled) {
    const std::string call = "cos\nsystem\n(" + unicode("touch owned") + "tR";
    EXPECT_THAT(fault_of_pt(pt_of(holding(call), 0)), HasSubstr("calls os system"));
    for (const char* name : {"builtins\neval", "torch._utils\n_rebuild_sparse_tensor",
                             "torch.jit._pickle\nrestore_type_tag", "numpy.core.multiarray\n_reconstruct"}) {
        EXPECT_THAT(fault_of_pt(pt_of(holding("c" + text(name) + "\n(tR"), 0)), HasSubstr("calls ")) << name;
    }
    EXPECT_THAT(fault_of_pt(pt_of(holding("cos\nsystem\n"), 0)), HasSubstr("q is no tensor"));
}

TEST(GoldenPickle, OtherObjectsAndOpcodesAreRefused) {
    struct Case {
        std::string pickle;
        const char* said;
    };
    const std::vector<Case> cases{
        {"", "ends within"},
        {"\x80\x04.", "not of protocol 2"},
        {text("(dp0\n."), "not of protocol 2"},
        {"\x80\x02.", "takes a value where there is none"},
        {"\x80\x02N.", "where the dictionary of tensors must be"},
        {"\x80\x02}", "ends within"},
        {"\x80\x02]q.", "opcode 93"},
        {holding("K\x07"), "q is no tensor"},
        {holding("}"), "q is no tensor"},
        {holding(")b"), "opcode 98"},
        {"\x80\x02}K\x01K\x02s.", "where a tensor's name must be"},
        {"\x80\x02}h\x05s.", "recalls what it has not remembered"},
        {"\x80\x02}t.", "closes what it has not opened"},
        {"\x80\x02}(" + unicode("q") + "u.", "what is no dictionary"},
        {"\x80\x02}X\xff\xff\xff\xff.", "ends within"},
        {"\x80\x02" + text("c") + std::string(1000, 'a') + "\nb\n.", "longer than"},
        {"\x80\x02" + text("cabc"), "ends within a name"},
        {holding("\x8a\x09" + std::string(9, 'x')), "beyond 64 bits"},
        {holding(unicode("x") + "Q"), "where a storage's description must be"},
        {holding("(" + unicode("module") + "NNNNtQ"), "no storage"},
        {holding("(" + unicode("storage") + "ctorch\nByteStorage\n" + unicode("0") + unicode("cpu") +
                 "K\x01tQ"),
         "ByteStorage"},
        {"\x80\x02}(" + unicode("__metadata__") + "}(" + unicode("a") + ")uu.", "no text, number or truth"},
        {"\x80\x02}(" + unicode("__metadata__") + "}(" + unicode("a") + "K\x01" + unicode("a") + "K\x02uu.",
         "given twice"},
        {"\x80\x02" + std::string(100'000, 'N') + ".", "too many values"},
        {"\x80\x02" + std::string(300'000, 'N') + ".", "at most"},
    };
    for (const Case& one : cases) {
        EXPECT_THAT(fault_of_pt(pt_of(one.pickle, 0)), HasSubstr(one.said))
            << ::testing::PrintToString(one.pickle.substr(0, 100));
    }
}

// Objects may be shared: the size of what is read must not be the product of how often with how much.
TEST(GoldenPickle, ALargeTextThatIsReferredToOftenIsNotCopied) {
    std::string pickle =
        "\x80\x02}(" + unicode("__metadata__") + "}(" + unicode(std::string(100'000, 'x')) + "q\1";
    for (int i = 0; i < 1000; ++i)
        pickle += "h\1";
    EXPECT_THAT(fault_of_pt(pt_of(pickle + "K\1uu.", 0)), HasSubstr("longer than"));
}

TEST(GoldenPickle, AViewMustLieInItsStorage) {
    EXPECT_EQ(fault_of_view(view()), "read");
    constexpr std::int64_t kHuge = INT64_C(1) << 62;
    const auto with = [](const std::function<void(TensorView&)>& change) {
        TensorView changed = view();
        change(changed);
        return fault_of_view(changed);
    };
    EXPECT_EQ(with([](auto& v) { v.shape = {6, 4}, v.strides = {1, 6}; }), "read") << "a transposed view";
    EXPECT_EQ(with([](auto& v) { v.shape = {2, 3}, v.offset = 15; }), "read");
    EXPECT_THAT(with([](auto& v) { v.shape = {2, 3}, v.offset = 16; }), HasSubstr("beyond its storage"));
    EXPECT_EQ(with([](auto& v) { v.shape = {}, v.strides = {}, v.offset = 23; }), "read");
    EXPECT_THAT(with([](auto& v) { v.shape = {}, v.strides = {}, v.offset = 24; }),
                HasSubstr("beyond its storage"));
    EXPECT_THAT(with([](auto& v) { v.strides = {kHuge, kHuge}; }), HasSubstr("beyond its storage"));
    EXPECT_THAT(with([](auto& v) { v.offset = -1; }), HasSubstr("negative"));
    EXPECT_THAT(with([](auto& v) { v.strides = {6, -1}; }), HasSubstr("negative"));
    EXPECT_THAT(with([](auto& v) { v.shape = {4, -6}; }), HasSubstr("negative axis"));
    EXPECT_THAT(with([](auto& v) { v.strides = {6}; }), HasSubstr("one stride for each axis"));
    EXPECT_THAT(with([](auto& v) {
                    v.shape = {kHuge, 8}, v.strides = {0, 0};
                }),
                HasSubstr("more bytes than"));
    EXPECT_THAT(with([](auto& v) { v.shape = {25}, v.strides = {0}; }), HasSubstr("more bytes than"));
    EXPECT_THAT(with([](auto& v) { v.storage_elements = 25; }), HasSubstr("said to have 25 elements"));
    EXPECT_THAT(with([](auto& v) { v.storage_elements = kHuge; }), HasSubstr("elements and has 96 bytes"));
    EXPECT_THAT(with([](auto& v) { v.storage = "1"; }), HasSubstr("no data/1"));
    EXPECT_THAT(with([](auto& v) { v.storage = "../data.pkl"; }), HasSubstr("no data/../data.pkl"));
}

TEST(GoldenPickle, ManyViewsOfOneStorageAreRefused) {
    TensorView large = view();
    large.storage_elements = 4096;
    large.shape = {64, 64};
    large.strides = {64, 1};
    PickledFile file{.metadata = {}, .tensors = {{"first", large}}};
    EXPECT_EQ(fault_of_pt(pt_of(characters(pickle_bytes(file)), 4 * 4096)), "read");
    file.tensors.emplace("second", large);
    EXPECT_THAT(fault_of_pt(pt_of(characters(pickle_bytes(file)), 4 * 4096)), HasSubstr("share storages"));
}

TEST(GoldenZip, DamagedAndUnusualArchivesAreRefused) {
    const Bytes pickle = bytes_of(holding("N"));
    const auto fault = [](const std::vector<std::pair<std::string, ByteView>>& members) {
        return fault_of_pt(zip_bytes(members));
    };
    EXPECT_THAT(fault({}), HasSubstr("no data.pkl"));
    EXPECT_THAT(fault({{"a/data.pkl", pickle}, {"a/data.pkl", pickle}}), HasSubstr("twice"));
    EXPECT_THAT(fault({{"a/data.pkl", pickle}, {"b/data.pkl", pickle}}), HasSubstr("one folder"));
    EXPECT_THAT(fault({{"data.pkl", pickle}}), HasSubstr("one folder"));
    const Bytes big = bytes_of("big");
    EXPECT_THAT(fault({{"a/data.pkl", pickle}, {"a/byteorder", big}}), HasSubstr("not little-endian"));

    const Bytes good = zip_bytes({{"a/data.pkl", pickle}});
    const std::size_t directory = good.size() - 22 - 46 - 10;  // one record with a name of ten bytes
    const auto changed = [&](std::size_t at, unsigned char value) {
        Bytes bytes = good;
        bytes[at] = std::byte{value};
        return fault_of_pt(bytes);
    };
    EXPECT_THAT(fault_of_pt(good), HasSubstr("q is no tensor"));
    EXPECT_THAT(changed(directory + 10, 8), HasSubstr("compressed"));
    EXPECT_THAT(changed(directory + 8, 1), HasSubstr("encrypted"));
    EXPECT_THAT(changed(directory + 16, 0xEE), HasSubstr("checksum"));
    EXPECT_THAT(changed(directory + 27, 0xEE), HasSubstr("compressed"));  // one of the two sizes
    EXPECT_THAT(changed(directory + 45, 0xEE), HasSubstr("outside the file"));
    EXPECT_THAT(changed(good.size() - 22 + 10, 2), HasSubstr("zip directory"));
    EXPECT_THAT(changed(good.size() - 22 + 11, 0xFF), HasSubstr("members"));
    EXPECT_THAT(fault_of_pt(bytes_of(std::string(64, 'x'))), HasSubstr("torch 1.6 or newer"));
}

TEST(GoldenZip, MembersThatShareBytesAreRefused) {
    const Bytes pickle = bytes_of(holding("N"));
    Bytes bytes = zip_bytes({{"a/data.pkl", pickle}, {"a/data.pk2", pickle}});
    // The second directory record is made to point at the first member.
    const std::size_t second = bytes.size() - 22 - 46 - 10;
    for (std::size_t i = 0; i < 4; ++i)
        bytes[second + 42 + i] = std::byte{0};
    EXPECT_THAT(fault_of_pt(bytes), HasSubstr("overlap"));
}

}  // namespace
}  // namespace nsa::core::golden
