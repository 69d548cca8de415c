// The report of a DONE run. Its files and its row follow from the store alone, so that a crash here costs
// nothing.
#include "reports/write.hpp"

#include "daemon/acts.hpp"
#include "daemon/clock.hpp"
#include "language/failpoint.hpp"

namespace nsa::daemon {

boost::asio::awaitable<Result<store::ReportRow>> render_report(Workplace& place, RunId run) {
    const std::string folder = (place.config.artifacts_dir / run.value).string();
    failpoint("daemon.report.begin");
    const std::int64_t now_ms = wall_ms();
    auto write = [&](store::Store& store) { return reports::write_report(store, run, folder, now_ms); };
    co_return co_await place.books.write(run, write);
}

}  // namespace nsa::daemon
