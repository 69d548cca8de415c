// Released programs: a failpoint is nothing. This file defines no other symbol: an object that defines
// failpoint() too then takes its place at link time.
#include "language/failpoint.hpp"

namespace nsa {

void failpoint(std::string_view) noexcept {}

}  // namespace nsa
