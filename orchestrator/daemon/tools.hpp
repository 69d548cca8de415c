// The tools that a plan's cases call, on the host of an instance.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <map>
#include <string>
#include <vector>

#include "daemon/blocking_thread.hpp"
#include "daemon/config.hpp"
#include "daemon/link.hpp"
#include "language/plan.hpp"

namespace nsa::daemon {

// The most commands that building tools on a host puts in front of a plan's setup (instances/core_build.cpp).
inline constexpr int kMostToolCommands = 5;

struct Tools {
    std::map<std::string, std::string> paths;   // tool name -> absolute path on the host
    std::vector<language::SetupCommand> setup;  // that makes them; before the plan's own
};

// nsa-core: where the instance says it is; on this machine the one of this build; else its sources go there
// and are built by the run's setup. Files that are there by hash are not sent again. All references outlive
// the awaitable.
boost::asio::awaitable<Result<Tools>> provide_tools(const language::Plan& plan, const Config& config,
                                                    engines::InstanceConfig instance,
                                                    std::shared_ptr<HostSession> session,
                                                    BlockingThread& disk);

}  // namespace nsa::daemon
