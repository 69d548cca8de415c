// What an attach brings: journal lines for the store, log bytes for files.
//
// Lines gather while they wait for the store, so that a run of many short steps costs few commits: the first
// commits of a run follow its events at once, later ones take at most a tenth of the time. Nothing depends on
// it but the delay (a fifth of a second at most) with which people see a step: the worker has the journal,
// and the store takes each line once.
#pragma once

#include <boost/asio/steady_timer.hpp>
#include <optional>
#include <string>

#include "daemon/acts.hpp"
#include "daemon/attempt_files.hpp"

namespace nsa::daemon {

class RunSink : public engines::AttachSink {
  public:
    RunSink(Workplace& place, scheduler::Ticket ticket, boost::asio::any_io_executor executor);

    AttemptFiles& files() { return files_; }
    // Its last event, once it is in the store.
    std::optional<language::RunFinished> finished;

    engines::Async<> on_events(std::string lines) override;
    engines::Async<> on_log(protocol::LogPiece piece) override;

    // Writes what gathers until the store refuses it. Runs beside the attach and is cancelled with its end.
    boost::asio::awaitable<Error> keep_writing();
    // What is still to be written, after keep_writing() has ended.
    engines::Async<> write_rest();

  private:
    engines::Async<> write();
    void tell_progress(bool case_started);

    Workplace& place_;
    scheduler::Ticket ticket_;
    AttemptFiles files_;
    std::string pending_;  // whole lines, taken away only once they are in the store
    boost::asio::steady_timer changed_;
    int writes_ = 0;
    std::chrono::steady_clock::time_point told_{};
};

}  // namespace nsa::daemon
