// The tensors of a golden file against its configuration. Part of schema.hpp.
#pragma once

#include "nsa_core/golden/schema.hpp"

namespace nsa::core::golden {

// Reads batch, length, dtype, heads and widths off the inputs. Throws InputError when they are missing, of
// the wrong kind or do not fit one another.
void read_shapes(Golden& golden);

// Names, types, shapes and values of every tensor. Throws InputError.
void check_contents(const Golden& golden);

}  // namespace nsa::core::golden
