// The one effect of this box: the report's files on disk and its row in the store.
#pragma once

#include <cstdint>

#include "language/ids.hpp"
#include "language/result.hpp"
#include "store/rows.hpp"

namespace nsa::store {
class Store;
}

namespace nsa::reports {

// Renders the report of a DONE run into `<folder>/<stem>.md`, .html and .json and its figures into
// `<folder>/plots`, copies the first decode.csv of the run beside them where it is still at home (all by tmp,
// fsync, rename), and records the paths and hashes. Idempotent: a second call
// writes the same bytes. `folder` is the run's folder, the parent of its artifact folder; it is made when
// absent. `now_ms` is recorded for people and stands in no file.
Result<store::ReportRow> write_report(store::Store& store, const RunId& run, const std::string& folder,
                                      std::int64_t now_ms);

}  // namespace nsa::reports
