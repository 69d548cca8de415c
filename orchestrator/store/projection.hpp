// Journal events as rows. Private to this box; inside a transaction of append_events.
#pragma once

#include "language/event.hpp"
#include "store/database.hpp"

namespace nsa::store {

// Where the events of one append belong.
struct JournalPlace {
    std::int64_t run_no = 0;
    int attempt = 0;
};

// Keeps the event and updates what follows from it. kProtocol: it speaks of a case that the plan lacks, or
// carries more records than an event may.
Result<void> project(Database& database, JournalPlace place, const language::Event& event,
                     std::string_view line);

}  // namespace nsa::store
