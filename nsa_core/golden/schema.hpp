// What a golden file must hold to be judged: names, shapes and the configuration in its metadata
// (docs/golden.md). Free of Torch.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "nsa_core/config.hpp"
#include "nsa_core/golden/tensor_file.hpp"
#include "nsa_core/numeric.hpp"

namespace nsa::core::golden {

enum class Scope {
    kAttention,  // q, k, v and outputs of single branches
    kLayer       // x, the weights and the layer's output
};

struct Golden {
    Scope scope = Scope::kAttention;
    NsaConfig config;
    std::int64_t batch = 0;
    std::int64_t seq = 0;
    DType dtype = DType::kFp32;  // of the inputs
    std::string producer;        // who made it, as it says itself; may be empty
    std::map<std::string, StoredTensor> tensors;

    [[nodiscard]] bool holds(const std::string& tensor) const { return tensors.contains(tensor); }
};

// Checks everything that can be checked without Torch: the weights of a layer are for its module to check.
// Throws InputError with what is wrong and what would be right.
[[nodiscard]] Golden golden_of(TensorFile file);
[[nodiscard]] Golden read_golden(const std::filesystem::path& path);

// The metadata of a golden file of that configuration.
[[nodiscard]] std::map<std::string, std::string> metadata_of(const NsaConfig& config, Scope scope,
                                                             std::string producer);

}  // namespace nsa::core::golden
