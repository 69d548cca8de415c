// The acts of the scheduler, performed: one coroutine each. They decide nothing; what happened goes back as
// an event. On the loop's thread; all references of Workplace outlive the acts (the task group is emptied
// first).
#pragma once

#include <boost/asio/awaitable.hpp>
#include <functional>

#include "daemon/config.hpp"
#include "daemon/instances.hpp"
#include "daemon/log.hpp"
#include "daemon/run_book.hpp"
#include "daemon/write_back.hpp"
#include "scheduler/action.hpp"

namespace nsa::daemon {

struct Workplace {
    const Config& config;
    const Log& log;
    Books& books;
    RunBook& runs;
    Instances& instances;
    BlockingThread& log_disk;  // live logs: never behind a large pull
    BlockingThread& disk;      // artifacts, sources, reports
    WriteBack& write_back;     // of the artifacts
    Changes& log_growth;
    std::function<void(scheduler::Event)> emit;
};

// The event that answers the act, or why there is none. A kUnreachable of a link that is down needs no
// answer.
using ActResult = boost::asio::awaitable<Result<scheduler::Event>>;

ActResult stage(Workplace& place, scheduler::Stage act);                              // launch.cpp
ActResult launch(Workplace& place, scheduler::Launch act);                            // launch.cpp
ActResult follow(Workplace& place, scheduler::Attach act);                            // follow.cpp
ActResult collect(Workplace& place, scheduler::Collect act);                          // collect.cpp
ActResult publish(Workplace& place, scheduler::Publish act);                          // publish.cpp
boost::asio::awaitable<void> stop_run(Workplace& place, scheduler::StopRun act);      // stop.cpp
boost::asio::awaitable<void> stop_stray(Workplace& place, scheduler::StopStray act);  // stop.cpp
// Renders the report of a DONE run and records it. Idempotent. (report.cpp)
boost::asio::awaitable<Result<store::ReportRow>> render_report(Workplace& place, RunId run);

// Until there is space again: nothing is added to a disk whose reserve is in use.
inline Error no_room(const Workplace& place) {
    return fail(ErrorCode::kNoSpace,
                "the disk of this host is full; free some space there, it goes on by itself",
                place.config.state_dir.string());
}

inline Error link_is_down(const InstanceName& name) {
    return fail(ErrorCode::kUnreachable, "its link is down", "instance " + name.value);
}

}  // namespace nsa::daemon
