#include "runner/plan_files.hpp"

#include <boost/json.hpp>

#include "journal/run_dir.hpp"
#include "language/json_text.hpp"
#include "posix/capture.hpp"
#include "posix/files.hpp"
#include "runner/environment.hpp"

namespace nsa::runner {
namespace {

constexpr std::size_t kMostBytes = 16U << 20;

Result<boost::json::value> read_json(int run_dir, const char* name) {
    const auto text = posix::read_file(run_dir, name, kMostBytes);
    if (!text) return text.error();
    auto value = language::parse_json(*text);
    if (!value) return fail(ErrorCode::kCorrupt, value.error().describe(), name);
    return value;
}

}  // namespace

Result<LaunchFiles> read_launch_files(int run_dir) {
    const auto plan_text = posix::read_file(run_dir, journal::kPlanFile, kMostBytes);
    if (!plan_text) return plan_text.error();
    auto plan = language::plan_from_text(*plan_text);
    if (!plan) return plan.error();
    const auto tools_json = read_json(run_dir, journal::kToolsFile);
    if (!tools_json) return tools_json.error();
    LaunchFiles files{std::move(*plan), {}};
    if (!tools_json->is_object()) return fail(ErrorCode::kCorrupt, "is no object", journal::kToolsFile);
    for (const auto& [name, path] : tools_json->get_object()) {
        if (!path.is_string())
            return fail(ErrorCode::kCorrupt, "holds a path that is no text", journal::kToolsFile);
        files.tools[name] = std::string{path.get_string()};
    }
    return files;
}

Result<std::vector<std::string>> resolve_argv(std::vector<std::string> argv,
                                              const std::map<std::string, std::string>& tools,
                                              const std::string& path, const std::string& home) {
    if (argv.empty() || argv.front().empty())
        return fail(ErrorCode::kNotFound, "the command is empty", "argv");
    if (const auto tool = tools.find(argv.front()); tool != tools.end()) {
        argv.front() = tool->second;
        return argv;
    }
    auto program = posix::find_program(expand_home(argv.front(), home), path);
    if (!program) {
        Error error = program.error();
        std::string names;
        for (const auto& [name, file] : tools)
            names += (names.empty() ? "" : ", ") + name;
        error.text += names.empty() ? "; the launch named no tools" : "; tools of the launch: " + names;
        return error;
    }
    argv.front() = std::move(*program);
    return argv;
}

}  // namespace nsa::runner
