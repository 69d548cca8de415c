#include "nsa_core/golden/contents.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>

#include "nsa_core/errors.hpp"
#include "nsa_core/geometry.hpp"
#include "nsa_core/src/parameter_shapes.hpp"

namespace nsa::core::golden {
namespace {

using Shape = std::vector<std::int64_t>;

constexpr std::string_view kWeight = "weight.";
constexpr std::string_view kCandidate = "candidate.";
constexpr std::string_view kGradient = "d_";

std::string text_of(const Shape& shape) {
    std::string text = "[";
    for (const std::int64_t axis : shape)
        text += (text.size() > 1 ? "," : "") + std::to_string(axis);
    return text + "]";
}

const StoredTensor& input(const Golden& golden, const std::string& name, std::size_t axes,
                          const char* layout) {
    const auto found = golden.tensors.find(name);
    if (found == golden.tensors.end()) throw InputError{"tensor " + name + " " + layout + " is missing"};
    const Shape& shape = found->second.shape;
    const bool fits =
        shape.size() == axes && std::all_of(shape.begin(), shape.end(), [](auto n) { return n > 0; });
    if (!fits) throw InputError{"tensor " + name + " is " + text_of(shape) + "; it must be " + layout};
    return found->second;
}

DType dtype_of(const std::string& name, Element element) {
    switch (element) {
        case Element::kF64:
            return DType::kFp64;
        case Element::kF32:
            return DType::kFp32;
        case Element::kF16:
            return DType::kFp16;
        case Element::kBf16:
            return DType::kBf16;
        case Element::kI64:
        case Element::kI32:
            break;
    }
    throw InputError{"tensor " + name + " holds integers; it must hold F64, F32, F16 or BF16"};
}

void expect_shape(const std::string& name, const StoredTensor& tensor, const Shape& shape) {
    if (tensor.shape != shape) {
        throw InputError{"tensor " + name + " is " + text_of(tensor.shape) +
                         "; with these inputs and this configuration " + "it must be " + text_of(shape)};
    }
}

// Bits of the exponent, all of which are set in NaN and infinities, in the top two bytes.
std::uint16_t exponent_mask(Element element) {
    switch (element) {
        case Element::kF64:
            return 0x7FF0;
        case Element::kF16:
            return 0x7C00;
        case Element::kF32:
        case Element::kBf16:
            return 0x7F80;
        case Element::kI64:
        case Element::kI32:
            break;
    }
    return 0;
}

void expect_finite(const std::string& name, const StoredTensor& tensor) {
    const std::uint16_t mask = exponent_mask(tensor.element);
    const std::size_t width = size_of(tensor.element);
    for (std::size_t at = 0; mask != 0 && at < tensor.bytes.size(); at += width) {
        std::uint16_t top = 0;
        std::memcpy(&top, tensor.bytes.data() + at + width - sizeof top, sizeof top);
        if ((top & mask) == mask) {
            throw InputError{"tensor " + name + " holds a NaN or an infinity, at element " +
                             std::to_string(at / width) + "; only candidate.* may"};
        }
    }
}

std::int64_t integer(const StoredTensor& tensor, std::size_t index) {
    if (tensor.element == Element::kI32) {
        std::int32_t value = 0;
        std::memcpy(&value, tensor.bytes.data() + index * sizeof value, sizeof value);
        return value;
    }
    std::int64_t value = 0;
    std::memcpy(&value, tensor.bytes.data() + index * sizeof value, sizeof value);
    return value;
}

// Blocks of one query: ascending, none that begins after the query, -1 behind the last; at least one.
bool good_row(const StoredTensor& blocks, std::size_t first, std::size_t count, std::int64_t own_block) {
    std::int64_t before = -1;
    bool ended = false;
    for (std::size_t i = 0; i < count; ++i) {
        const std::int64_t block = integer(blocks, first + i);
        if (block == -1 && i > 0) {
            ended = true;
            continue;
        }
        if (ended || block <= before || block > own_block) return false;
        before = block;
    }
    return true;
}

void check_blocks(const Golden& golden, const StoredTensor& blocks) {
    const NsaConfig& c = golden.config;
    if (blocks.element != Element::kI64 && blocks.element != Element::kI32) {
        throw InputError{"tensor blocks must hold I64 or I32"};
    }
    const std::int64_t count = std::min(c.n, block_count(golden.seq, c));
    expect_shape("blocks", blocks, {golden.batch, c.groups, golden.seq, count});
    const std::int64_t rows = golden.batch * c.groups * golden.seq;
    for (std::int64_t row = 0; row < rows; ++row) {
        const std::int64_t t = row % golden.seq;
        if (!good_row(blocks, static_cast<std::size_t>(row * count), static_cast<std::size_t>(count),
                      t / c.l_sel)) {
            throw InputError{"tensor blocks: row " + std::to_string(row) + " (query " + std::to_string(t) +
                             ") is not ascending blocks up to the query's own, with -1 behind the last"};
        }
    }
}

std::vector<std::string> outputs_of(Scope scope) {
    return scope == Scope::kLayer ? std::vector<std::string>{"out"}
                                  : std::vector<std::string>{"sliding", "compressed", "selected"};
}

Shape output_shape(const Golden& golden) {
    const NsaConfig& c = golden.config;
    return golden.scope == Scope::kLayer ? Shape{golden.batch, golden.seq, c.dim}
                                         : Shape{golden.batch, c.heads, golden.seq, c.dv};
}

bool is_input(const Golden& golden, const std::string& name) {
    if (golden.scope == Scope::kLayer) return name == "x" || name.starts_with(kWeight);
    return name == "q" || name == "k" || name == "v";
}

// The input that a tensor is the gradient of: q of sliding.d_q, weight.wq of d_weight.wq. Empty for others.
std::string differentiated(const Golden& golden, std::string_view name) {
    if (golden.scope == Scope::kAttention) {
        const std::size_t dot = name.find('.');
        const std::vector<std::string> outputs = outputs_of(golden.scope);
        if (dot == name.npos ||
            std::find(outputs.begin(), outputs.end(), name.substr(0, dot)) == outputs.end())
            return {};
        name.remove_prefix(dot + 1);
    }
    if (!name.starts_with(kGradient)) return {};
    const std::string input{name.substr(kGradient.size())};
    return is_input(golden, input) && golden.holds(input) ? input : "";
}

// What an implementation makes of the inputs: outputs and gradients. Nothing for other names.
std::optional<Shape> result_shape(const Golden& golden, const std::string& name) {
    const std::vector<std::string> outputs = outputs_of(golden.scope);
    if (std::find(outputs.begin(), outputs.end(), name) != outputs.end()) return output_shape(golden);
    const std::string input = differentiated(golden, name);
    return input.empty() ? std::nullopt : std::optional{golden.tensors.at(input).shape};
}

void check_tensor(const Golden& golden, const std::string& name, const StoredTensor& tensor) {
    if (golden.scope == Scope::kAttention && name == "blocks") return check_blocks(golden, tensor);
    const bool candidate = name.starts_with(kCandidate);
    const bool d_out = name == "d_out";
    const auto result = result_shape(golden, candidate ? name.substr(kCandidate.size()) : name);
    if (!result && (candidate || !(d_out || is_input(golden, name)))) {
        throw InputError{"tensor " + name + " is not of the schema of scope " +
                         (golden.scope == Scope::kLayer
                              ? "layer: x, weight.*, out, d_out, d_ of an input, candidate.* of out and d_*"
                              : "attention: q, k, v, blocks, sliding, compressed, selected, d_out, "
                                "OUTPUT.d_q, OUTPUT.d_k, OUTPUT.d_v, candidate.* of outputs and gradients")};
    }
    const DType dtype = dtype_of(name, tensor.element);
    if (result || d_out) expect_shape(name, tensor, result.value_or(output_shape(golden)));
    if (!result && dtype != golden.dtype)
        throw InputError{"tensor " + name + " is not of the type of the other inputs"};
    if (!candidate) expect_finite(name, tensor);
}

// Gradients are of the sum of output * d_out, and those of an output are there for all inputs or for none.
void check_gradients(const Golden& golden, const std::string& of_output) {
    std::vector<std::string> there, missing;
    for (const auto& [name, tensor] : golden.tensors) {
        if (!is_input(golden, name)) continue;
        const std::string gradient = of_output + std::string{kGradient} + name;
        (golden.holds(gradient) ? there : missing).push_back(gradient);
    }
    if (there.empty()) return;
    if (!golden.holds("d_out")) missing.emplace_back("d_out");
    if (!missing.empty()) {
        throw InputError{"tensor " + there.front() + " is there and " + missing.front() +
                         " is missing: gradients go with d_out, and with those of all inputs"};
    }
}

// The weights of such a layer, no more and no fewer. A configuration is a few numbers: what they ask for is
// made only once the file has been seen to hold as much.
void check_weights(const Golden& golden) {
    std::size_t of_layer = 0;
    for (const auto& [name, shape] : parameter_shapes(golden.config)) {
        const std::string weight = std::string{kWeight} + name;
        const auto found = golden.tensors.find(weight);
        if (found == golden.tensors.end()) {
            throw InputError{"it has no tensor " + weight + " " + text_of(shape) +
                             ", which a layer of this configuration has"};
        }
        expect_shape(weight, found->second, shape);
        ++of_layer;
    }
    const auto is_weight = [](const auto& named) { return named.first.starts_with(kWeight); };
    if (std::ranges::count_if(golden.tensors, is_weight) != static_cast<std::ptrdiff_t>(of_layer))
        throw InputError{"it has weights that a layer of this configuration has not"};
}

void read_attention_shapes(Golden& golden) {
    const StoredTensor& q = input(golden, "q", 4, "[B,H,S,dk]");
    const StoredTensor& v = input(golden, "v", 4, "[B,G,S,dv]");
    const StoredTensor& k = input(golden, "k", 4, "[B,G,S,dk]");
    NsaConfig& c = golden.config;
    golden.batch = q.shape[0];
    golden.seq = q.shape[2];
    golden.dtype = dtype_of("q", q.element);
    c.heads = q.shape[1];
    c.dk = q.shape[3];
    c.groups = v.shape[1];
    c.dv = v.shape[3];
    c.dim = c.heads * c.dk;
    expect_shape("k", k, {golden.batch, c.groups, golden.seq, c.dk});
    expect_shape("v", v, {golden.batch, c.groups, golden.seq, c.dv});
}

void read_layer_shapes(Golden& golden) {
    const StoredTensor& x = input(golden, "x", 3, "[B,S,dim]");
    golden.batch = x.shape[0];
    golden.seq = x.shape[1];
    golden.config.dim = x.shape[2];
    golden.dtype = dtype_of("x", x.element);
}

}  // namespace

void read_shapes(Golden& golden) {
    if (golden.scope == Scope::kLayer)
        read_layer_shapes(golden);
    else
        read_attention_shapes(golden);
    if (golden.seq > 1 << 20) throw InputError{"sequences of more than 1048576 tokens"};
}

void check_contents(const Golden& golden) {
    for (const auto& [name, tensor] : golden.tensors)
        check_tensor(golden, name, tensor);
    if (golden.scope == Scope::kLayer) {
        check_weights(golden);
        return check_gradients(golden, "");
    }
    for (const std::string& output : outputs_of(golden.scope))
        check_gradients(golden, output + ".");
}

}  // namespace nsa::core::golden
