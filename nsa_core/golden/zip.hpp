// Zip archives whose members are stored, not compressed: what torch.save writes. A compressed member is
// refused, so no archive can grow when it is read. Archives and members are below 4 GiB: no zip64.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "nsa_core/golden/tensor_file.hpp"

namespace nsa::core::golden {

// Views into `archive`, by name. Throws InputError for whatever is no such archive, members that share bytes,
// or a checksum that does not hold (0 counts as none: torch can be told to leave them out).
[[nodiscard]] std::map<std::string, ByteView> zip_members(ByteView archive);

[[nodiscard]] Bytes zip_bytes(const std::vector<std::pair<std::string, ByteView>>& members);

}  // namespace nsa::core::golden
