// A kernel that touches memory that is not there ends the process; it says where before it does.
#pragma once

namespace nsa::emulator {

/// From now on SIGSEGV and SIGBUS print the place of the running lane, if one runs. Again and again: no harm.
void report_crashes();

}  // namespace nsa::emulator
