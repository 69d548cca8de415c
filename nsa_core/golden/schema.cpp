#include "nsa_core/golden/schema.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <utility>

#include "nsa_core/errors.hpp"
#include "nsa_core/golden/contents.hpp"
#include "nsa_core/tools/flags.hpp"

namespace nsa::core::golden {
namespace {

using Metadata = std::map<std::string, std::string>;

constexpr std::string_view kSchema = "nsa-golden-1";
constexpr std::int64_t kMost = 1 << 20;

// Whole numbers of the configuration, by name. Heads and widths of attention are those of its tensors.
struct Field {
    const char* name;
    std::int64_t NsaConfig::*member;
    bool layer_only;
    bool required;
};
constexpr std::array<Field, 13> kFields{{{"l", &NsaConfig::l, false, true},
                                         {"d", &NsaConfig::d, false, true},
                                         {"l_sel", &NsaConfig::l_sel, false, true},
                                         {"n", &NsaConfig::n, false, true},
                                         {"w", &NsaConfig::w, false, true},
                                         {"n_initial", &NsaConfig::n_initial, false, false},
                                         {"n_local", &NsaConfig::n_local, false, false},
                                         {"heads", &NsaConfig::heads, true, true},
                                         {"groups", &NsaConfig::groups, true, true},
                                         {"dk", &NsaConfig::dk, true, true},
                                         {"dv", &NsaConfig::dv, true, true},
                                         {"gate_hidden", &NsaConfig::gate_hidden, true, false},
                                         {"phi_hidden", &NsaConfig::phi_hidden, true, false}}};
constexpr std::array kLayerWords{"compressor", "gate", "rope", "rope_base"};

std::string one_of(const std::vector<std::string>& words) {
    std::string text;
    for (const std::string& word : words)
        text += (text.empty() ? "" : ", ") + word;
    return text;
}

[[noreturn]] void unknown(const char* what, const std::string& given, const std::vector<std::string>& known) {
    const auto near = tools::nearest(given, known);
    throw InputError{std::string{what} + " " + given + " is not of the schema" +
                     (near ? "; did you mean " + *near + "?" : "; there are " + one_of(known))};
}

const std::string* find(const Metadata& metadata, const std::string& key) {
    const auto found = metadata.find(key);
    return found == metadata.end() ? nullptr : &found->second;
}

// The one of `words` that the metadata names; the first when it names none.
std::size_t word(const Metadata& metadata, const std::string& key, const std::vector<std::string>& words) {
    const std::string* value = find(metadata, key);
    if (!value) return 0;
    const auto place = std::find(words.begin(), words.end(), *value);
    if (place == words.end()) {
        throw InputError{"metadata " + key + " is \"" + *value + "\"; it must be one of " + one_of(words)};
    }
    return static_cast<std::size_t>(place - words.begin());
}

Scope scope_of(const Metadata& metadata) {
    const std::string* schema = find(metadata, "schema");
    if (!schema || *schema != kSchema) {
        throw InputError{"metadata schema must be \"" + std::string{kSchema} + "\"" +
                         (schema ? ", it is \"" + *schema + "\"" : ", there is none")};
    }
    if (!find(metadata, "scope")) throw InputError{"metadata scope is missing: attention or layer"};
    return word(metadata, "scope", {"attention", "layer"}) == 0 ? Scope::kAttention : Scope::kLayer;
}

void check_known(const Metadata& metadata, Scope scope) {
    // "format" is what the safetensors package of Python likes to add.
    std::vector<std::string> known{"schema", "scope", "producer", "format"};
    for (const Field& field : kFields) {
        if (scope == Scope::kLayer || !field.layer_only) known.emplace_back(field.name);
    }
    if (scope == Scope::kLayer) known.insert(known.end(), kLayerWords.begin(), kLayerWords.end());
    for (const auto& [key, value] : metadata) {
        if (std::find(known.begin(), known.end(), key) == known.end()) unknown("metadata", key, known);
    }
}

std::int64_t whole_number(const std::string& key, const std::string& text) {
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size() || value < 0 || value > kMost) {
        throw InputError{"metadata " + key + " is \"" + text + "\"; it must be a whole number up to " +
                         std::to_string(kMost)};
    }
    return value;
}

void read_fields(const Metadata& metadata, Scope scope, NsaConfig& config) {
    for (const Field& field : kFields) {
        if (field.layer_only && scope != Scope::kLayer) continue;
        const std::string* value = find(metadata, field.name);
        if (value)
            config.*field.member = whole_number(field.name, *value);
        else if (field.required)
            throw InputError{std::string{"metadata "} + field.name + " is missing"};
    }
}

void read_layer_words(const Metadata& metadata, NsaConfig& config) {
    config.compressor =
        word(metadata, "compressor", {"mean", "mlp"}) == 0 ? Compressor::kMean : Compressor::kMlp;
    config.gate =
        word(metadata, "gate", {"sigmoid", "softmax"}) == 0 ? GateKind::kSigmoid : GateKind::kSoftmax;
    config.rope = word(metadata, "rope", {"false", "true"}) == 1;
    const std::string* base = find(metadata, "rope_base");
    if (!base) return;
    const auto [end, error] = std::from_chars(base->data(), base->data() + base->size(), config.rope_base);
    if (error != std::errc{} || end != base->data() + base->size() || !std::isfinite(config.rope_base) ||
        config.rope_base <= 1) {
        throw InputError{"metadata rope_base is \"" + *base + "\"; it must be a number above 1"};
    }
}

}  // namespace

Golden golden_of(TensorFile file) {
    Golden golden;
    golden.scope = scope_of(file.metadata);
    check_known(file.metadata, golden.scope);
    read_fields(file.metadata, golden.scope, golden.config);
    if (golden.scope == Scope::kLayer) read_layer_words(file.metadata, golden.config);
    if (const std::string* producer = find(file.metadata, "producer")) golden.producer = *producer;
    golden.tensors = std::move(file.tensors);
    read_shapes(golden);
    validate(golden.config);
    check_contents(golden);
    return golden;
}

Golden read_golden(const std::filesystem::path& path) {
    TensorFile file = read_tensor_file(path);
    try {
        return golden_of(std::move(file));
    } catch (const InputError& error) {
        throw InputError{path.string() + ": " + error.what()};
    }
}

Metadata metadata_of(const NsaConfig& config, Scope scope, std::string producer) {
    const bool layer = scope == Scope::kLayer;
    Metadata metadata{{"schema", std::string{kSchema}},
                      {"scope", layer ? "layer" : "attention"},
                      {"producer", std::move(producer)}};
    for (const Field& field : kFields) {
        if (layer || !field.layer_only) metadata.emplace(field.name, std::to_string(config.*field.member));
    }
    if (!layer) return metadata;
    metadata.emplace("compressor", config.compressor == Compressor::kMean ? "mean" : "mlp");
    metadata.emplace("gate", config.gate == GateKind::kSigmoid ? "sigmoid" : "softmax");
    metadata.emplace("rope", config.rope ? "true" : "false");
    std::array<char, 32> base{};
    const auto [end, error] = std::to_chars(base.data(), base.data() + base.size(), config.rope_base);
    metadata.emplace("rope_base", std::string{base.data(), end});
    return metadata;
}

}  // namespace nsa::core::golden
