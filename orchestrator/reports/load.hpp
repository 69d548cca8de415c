// The only place of this box that reads the store.
#pragma once

#include "language/result.hpp"
#include "reports/facts.hpp"

namespace nsa::store {
class Store;
}

namespace nsa::reports {

// Everything the report of a DONE run needs; reserves the report's name, so that two loads give the same
// value. kConflict: the run is not DONE.
Result<RunFacts> load(store::Store& store, const RunId& run);

}  // namespace nsa::reports
