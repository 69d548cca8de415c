// What a process that holds a daemon takes care of, nsad and `nsactl run` alike.
#pragma once

namespace nsa::daemon {

// A peer that goes away is an error of the write, not the end of the process; new files are this user's
// alone; no core dump and no debugger of this user: keys pass through this memory. Children may raise the
// limit of core dumps again.
void prepare_process();

}  // namespace nsa::daemon
