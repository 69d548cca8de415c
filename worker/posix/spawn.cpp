#include "posix/spawn.hpp"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <unistd.h>

#include <cerrno>
#include <string_view>

#include "posix/errno_error.hpp"

namespace nsa::posix {
namespace {

// posix_spawn's two option objects, released in any case.
struct Options {
    posix_spawn_file_actions_t actions{};
    posix_spawnattr_t attributes{};

    Options() {
        ::posix_spawn_file_actions_init(&actions);
        ::posix_spawnattr_init(&attributes);
    }
    ~Options() {
        ::posix_spawn_file_actions_destroy(&actions);
        ::posix_spawnattr_destroy(&attributes);
    }
    Options(const Options&) = delete;
    Options& operator=(const Options&) = delete;
};

void set_signals(posix_spawnattr_t& attributes) {
    sigset_t all{}, none{};
    ::sigfillset(&all);
    ::sigemptyset(&none);
    ::posix_spawnattr_setsigdefault(&attributes, &all);
    ::posix_spawnattr_setsigmask(&attributes, &none);
    ::posix_spawnattr_setflags(&attributes,
                               POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
}

void set_stream(posix_spawn_file_actions_t& actions, int from, int to) {
    if (from < 0) {
        ::posix_spawn_file_actions_addopen(&actions, to, "/dev/null", to == 0 ? O_RDONLY : O_WRONLY, 0);
    } else {
        ::posix_spawn_file_actions_adddup2(&actions, from, to);
    }
}

std::vector<char*> pointers(const std::vector<std::string>& texts) {
    std::vector<char*> out;
    out.reserve(texts.size() + 1);
    for (const auto& text : texts)
        out.push_back(const_cast<char*>(text.c_str()));  // posix_spawn's old signature
    out.push_back(nullptr);
    return out;
}

}  // namespace

Result<pid_t> spawn(const SpawnRequest& request) {
    for (const auto& argument : request.argv) {
        if (argument.find('\0') != std::string::npos) {
            return fail(ErrorCode::kUsage, "an argument holds a NUL byte", "start " + request.program);
        }
    }
    Options options;
    set_signals(options.attributes);
    if (!request.cwd.empty()) ::posix_spawn_file_actions_addchdir_np(&options.actions, request.cwd.c_str());
    set_stream(options.actions, -1, STDIN_FILENO);
    set_stream(options.actions, request.stdout_fd, STDOUT_FILENO);
    set_stream(options.actions, request.stderr_fd, STDERR_FILENO);
    ::posix_spawn_file_actions_addclosefrom_np(&options.actions, STDERR_FILENO + 1);

    std::vector<std::string> environment;
    environment.reserve(request.environment.size());
    for (const auto& [name, value] : request.environment)
        environment.push_back(name + "=" + value);
    pid_t pid = 0;
    const int error = ::posix_spawn(&pid, request.program.c_str(), &options.actions, &options.attributes,
                                    pointers(request.argv).data(), pointers(environment).data());
    if (error != 0) return errno_error(error, "start " + request.program);
    return pid;
}

Environment own_environment() {
    Environment out;
    for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
        const std::string_view text{*entry};
        const std::size_t equals = text.find('=');
        if (equals == std::string_view::npos) continue;
        out.emplace(text.substr(0, equals), text.substr(equals + 1));
    }
    return out;
}

}  // namespace nsa::posix
