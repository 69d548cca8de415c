#include "instances/core_bundle.hpp"

namespace nsa::instances {
namespace {

constexpr std::size_t kShortHash = 16;  // hex digits that name the folders
// Compilers of Torch sources take about a gigabyte each: few enough for a small host, and the build is short.
constexpr const char* kJobs = "4";

language::SetupCommand command(std::string title, std::vector<std::string> argv, const std::string& creates) {
    language::SetupCommand setup;
    setup.title = std::move(title);
    setup.argv = std::move(argv);
    setup.creates = creates;
    return setup;
}

}  // namespace

CoreBuild plan_core_build(const CoreBundle& bundle, const std::string& home) {
    const std::string name = "nsa_core-" + bundle.hash.value.substr(0, kShortHash);
    CoreBuild build;
    build.source_dir = "src/" + name;
    const std::string source = home + "/" + build.source_dir;
    const std::string binary = home + "/build/" + name;
    const std::string tools = home + "/tools/" + name;
    const std::string bin = tools + "/bin";
    build.tool = bin + "/nsa-core";
    const std::string part = build.tool + ".part";
    build.setup = {
        command("configure nsa-core", {"cmake", "-S", source, "-B", binary, "-DCMAKE_BUILD_TYPE=Release"},
                build.tool),
        command("build nsa-core", {"cmake", "--build", binary, "--target", "nsa-core", "--parallel", kJobs},
                build.tool),
        command("make the folder of nsa-core", {"cmake", "-E", "make_directory", bin}, build.tool),
        command("copy nsa-core", {"cmake", "-E", "copy", binary + "/bin/nsa-core", part}, build.tool),
        command("publish nsa-core", {"cmake", "-E", "rename", part, build.tool}, build.tool),
    };
    return build;
}

}  // namespace nsa::instances
