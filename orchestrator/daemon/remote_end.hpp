// How an attempt ended on its host, as the scheduler's event. Pure.
#pragma once

#include <optional>

#include "language/event.hpp"
#include "protocol/messages.hpp"
#include "scheduler/event.hpp"

namespace nsa::daemon {

// From the end of an attach and the journal's last event, if it is here. kCorrupt: a finished run without
// that event; kUnreachable: the run goes on.
Result<scheduler::Event> remote_end(const scheduler::Ticket& ticket, const protocol::AttachEnd& end,
                                    const std::optional<language::RunFinished>& finished);

}  // namespace nsa::daemon
