// A network of the laboratory's own: its ports are nobody else's, and nobody else's traffic reaches them.
#pragma once

#include <string>

namespace nsa::faults {

// Puts this process, and what it starts from then on, into a network namespace with a loopback alone. Before
// any thread or socket. Empty, or why not: then everything is as it was.
std::string enter_private_network();

}  // namespace nsa::faults
