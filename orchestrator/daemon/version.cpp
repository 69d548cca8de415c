#include "daemon/version.hpp"

namespace nsa::daemon {

const char* const kVersion = NSA_VERSION;
const char* const kCommit = NSA_COMMIT;

}  // namespace nsa::daemon
