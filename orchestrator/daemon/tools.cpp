#include "daemon/tools.hpp"

#include <algorithm>

#include "instances/core_bundle.hpp"

namespace nsa::daemon {

namespace asio = boost::asio;

namespace {

constexpr const char* kNsaCore = "nsa-core";
constexpr std::chrono::seconds kPushSilence{30};  // longest pause while the sources are sent

asio::awaitable<Result<Tools>> build_there(const Config& config, std::shared_ptr<HostSession> session,
                                           BlockingThread& disk) {
    auto read = [&config] { return instances::read_core_bundle(config.nsa_core_source); };
    const Result<instances::CoreBundle> bundle = co_await disk.call(read);
    if (!bundle) co_return bundle.error();
    const Result<std::size_t> pushed =
        co_await instances::push_core_bundle(session->client, *bundle, kPushSilence);
    if (!pushed) co_return pushed.error();
    instances::CoreBuild build = instances::plan_core_build(*bundle, session->hello.home);
    Tools tools;
    tools.paths[kNsaCore] = std::move(build.tool);
    tools.setup = std::move(build.setup);
    co_return tools;
}

}  // namespace

asio::awaitable<Result<Tools>> provide_tools(const language::Plan& plan, const Config& config,
                                             engines::InstanceConfig instance,
                                             std::shared_ptr<HostSession> session, BlockingThread& disk) {
    Tools tools;
    for (const std::string& tool : plan.tools) {
        if (tool != kNsaCore) {
            co_return fail(ErrorCode::kUsage,
                           "the plan needs the tool \"" + tool + "\"; only nsa-core is known",
                           "instance " + instance.name.value);
        }
    }
    if (plan.tools.empty()) co_return tools;
    const bool local = instance.engine == language::EngineKind::kLocal;
    const std::string here = local ? config.nsa_core.string() : std::string{};
    const std::string path = instance.nsa_core.empty() ? here : instance.nsa_core;
    if (!path.empty()) {
        tools.paths[kNsaCore] = path;
        co_return tools;
    }
    if (config.nsa_core_source.empty()) {
        co_return fail(
            ErrorCode::kNotFound,
            "this experiment needs nsa-core, and there is neither a built one nor its sources; build it "
            "(NSA_BUILD_CORE=ON), or give nsad --nsa-core-source, or the instance its --nsa-core",
            "instance " + instance.name.value);
    }
    co_return co_await build_there(config, session, disk);
}

}  // namespace nsa::daemon
