// The part of Python's pickle, protocol 2, that torch.save writes for a dictionary of tensors, texts and
// numbers. Nothing is called: the few names that such a pickle refers to become the values they stand for,
// and every other name, opcode or value is refused (docs/adr/0006-golden-files-without-an-unpickler.md).
#pragma once

#include <map>
#include <string>
#include <variant>
#include <vector>

#include "nsa_core/golden/tensor_file.hpp"

namespace nsa::core::golden {

// A tensor as the pickle describes it: a view of a storage, whose bytes lie beside the pickle under its key.
struct TensorView {
    Element element = Element::kF32;
    std::string storage;
    std::int64_t storage_elements = 0;
    std::int64_t offset = 0;  // in elements, as strides are
    std::vector<std::int64_t> shape;
    std::vector<std::int64_t> strides;
};

struct PickledFile {
    std::map<std::string, std::string>
        metadata;  // the dictionary "__metadata__"; numbers and truths spelled out
    std::map<std::string, TensorView> tensors;
};

// Throws InputError. Views are as the pickle has them: whether they fit their storages is for the caller to
// see.
[[nodiscard]] PickledFile parse_pickle(ByteView pickle);

// Contiguous tensors, storages of their own.
[[nodiscard]] Bytes pickle_bytes(const PickledFile& file);

}  // namespace nsa::core::golden
