// What the daemon keeps in memory of a run while it works on it: its documents, and what came home.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "daemon/books.hpp"
#include "language/plan.hpp"

namespace nsa::daemon {

struct CollectedArtifacts {
    Attempt attempt;
    std::vector<store::ArtifactRow> rows;
    bool verified = false;  // against the worker's manifest; else what a dead worker left, hashed here
};

struct ActiveRun {
    RunId run;
    std::string spec_yaml;
    language::Plan plan;
    std::optional<CollectedArtifacts> artifacts;  // of the attempt that was collected last
    Attempt pull_given_up{0};                     // pulls up to this attempt write nothing more
};

// Loads a run's documents when they are first needed, so that ten thousand queued runs cost no memory.
class RunBook {
  public:
    explicit RunBook(Books& books) : books_(books) {}

    // kCorrupt when the stored plan cannot be read.
    boost::asio::awaitable<Result<std::shared_ptr<ActiveRun>>> find(RunId run);
    void forget(const RunId& run) { runs_.erase(run); }

  private:
    Books& books_;
    std::map<RunId, std::shared_ptr<ActiveRun>> runs_;
};

}  // namespace nsa::daemon
