#include "program.hpp"

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fcntl.h>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <limits>
#include <stdexcept>

namespace nsa::core {
namespace {

namespace fs = std::filesystem;

std::string read_file(const fs::path& path) {
    std::ifstream file{path, std::ios::binary};
    return {std::istreambuf_iterator<char>{file}, {}};
}

// The environment of this process without NSA_ variables, plus `more`.
std::vector<std::string> environment_with(const std::map<std::string, std::string>& more) {
    std::vector<std::string> variables;
    for (char** entry = environ; *entry; ++entry) {
        if (std::strncmp(*entry, "NSA_", 4) != 0 && std::strncmp(*entry, "CUDA_VISIBLE_DEVICES=", 21) != 0 &&
            std::strncmp(*entry, "OMP_NUM_THREADS=", 16) != 0) {
            variables.emplace_back(*entry);
        }
    }
    for (const auto& [name, value] : more)
        variables.push_back(name + "=" + value);
    return variables;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
    std::vector<char*> all;
    for (std::string& text : texts)
        all.push_back(text.data());
    all.push_back(nullptr);
    return all;
}

int run_and_wait(std::vector<std::string> argv, std::vector<std::string> environment, const fs::path& out,
                 const fs::path& err) {
    constexpr int kFlags = O_CREAT | O_WRONLY | O_TRUNC;
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, out.c_str(), kFlags, 0600);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, err.c_str(), kFlags, 0600);
    pid_t pid = 0;
    const int error = posix_spawn(&pid, argv[0].c_str(), &actions, nullptr, pointers(argv).data(),
                                  pointers(environment).data());
    posix_spawn_file_actions_destroy(&actions);
    if (error != 0) throw std::runtime_error{argv[0] + ": " + std::strerror(error)};
    int status = 0;
    if (waitpid(pid, &status, 0) != pid) throw std::runtime_error{"waitpid failed"};
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

}  // namespace

std::vector<double> Ended::samples(const std::string& metric, const language::Labels& labels) const {
    std::vector<double> values;
    for (const language::Record& record : records) {
        const auto* found = std::get_if<language::Measurement>(&record);
        if (found && found->metric == metric && found->labels == labels) values.push_back(found->value);
    }
    return values;
}

double Ended::metric(const std::string& name, const language::Labels& labels) const {
    const std::vector<double> values = samples(name, labels);
    EXPECT_EQ(values.size(), 1u) << "metric " << name << "\n" << err;
    return values.size() == 1 ? values.front() : std::numeric_limits<double>::quiet_NaN();
}

std::string Ended::fact(const std::string& name, const language::Labels& labels) const {
    std::vector<std::string> values;
    for (const language::Record& record : records) {
        const auto* found = std::get_if<language::Fact>(&record);
        if (found && found->name == name && found->labels == labels) values.push_back(found->value);
    }
    EXPECT_EQ(values.size(), 1u) << "fact " << name << "\n" << err;
    return values.size() == 1 ? values.front() : std::string{};
}

std::optional<std::string> Ended::skip() const {
    for (const language::Record& record : records) {
        if (const auto* found = std::get_if<language::Skip>(&record)) return found->reason;
    }
    return std::nullopt;
}

Program::Program() {
    std::string name = (fs::temp_directory_path() / "nsa-core-XXXXXX").string();
    if (!mkdtemp(name.data())) throw std::runtime_error{"mkdtemp " + name + ": " + std::strerror(errno)};
    folder_ = name;
}

Program::~Program() {
    std::error_code ignored;  // a leftover folder in /tmp is no reason to end the test run
    fs::remove_all(folder_, ignored);
}

Ended Program::run(const std::vector<std::string>& args, const Environment& environment) const {
    const fs::path results = folder_ / "results.jsonl";
    fs::remove(results);
    Environment variables{
        {"CUDA_VISIBLE_DEVICES", ""}, {"NSA_RESULTS", results.string()}, {"NSA_ARTIFACTS", folder_.string()}};
    for (const auto& [name, value] : environment)
        variables[name] = value;
    std::vector<std::string> argv{NSA_CORE_PROGRAM};
    argv.insert(argv.end(), args.begin(), args.end());

    Ended ended;
    ended.exit_code = run_and_wait(argv, environment_with(variables), folder_ / "out", folder_ / "err");
    ended.out = text_of("out");
    ended.err = text_of("err");
    language::ParsedRecords parsed = language::parse_record_lines(read_file(results));
    for (const Error& error : parsed.errors)
        ADD_FAILURE() << error.describe();
    ended.records = std::move(parsed.records);
    return ended;
}

std::string Program::text_of(const std::string& file) const {
    return read_file(folder_ / file);
}

}  // namespace nsa::core
