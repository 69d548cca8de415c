#include "engines/child.hpp"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace nsa::engines {
namespace {

// Descriptors and attributes of posix_spawn, freed on every way out.
struct SpawnPlan {
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;

    SpawnPlan() {
        posix_spawn_file_actions_init(&files);
        posix_spawnattr_init(&attributes);
    }
    ~SpawnPlan() {
        posix_spawn_file_actions_destroy(&files);
        posix_spawnattr_destroy(&attributes);
    }
    SpawnPlan(const SpawnPlan&) = delete;
    SpawnPlan& operator=(const SpawnPlan&) = delete;
};

void prepare(SpawnPlan& plan, int stdio, int err) {
    posix_spawn_file_actions_adddup2(&plan.files, stdio, 0);
    posix_spawn_file_actions_adddup2(&plan.files, stdio, 1);
    posix_spawn_file_actions_adddup2(&plan.files, err, 2);
    posix_spawn_file_actions_addclosefrom_np(&plan.files, 3);
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setsigmask(&plan.attributes, &none);
    posix_spawnattr_setsigdefault(&plan.attributes, &all);
    posix_spawnattr_setflags(&plan.attributes,
                             POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
}

Error system_error(int code, const std::string& what, const std::string& where) {
    return fail(ErrorCode::kInternal, what + ": " + std::strerror(code), where);
}

}  // namespace

Result<Child> spawn_child(const std::filesystem::path& program, const std::vector<std::string>& arguments) {
    std::array<int, 2> pair{}, errors{};
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair.data()) != 0) {
        return system_error(errno, "no socket pair", program.string());
    }
    Child child;
    child.stdio = UniqueFd{pair[0]};
    const UniqueFd far_stdio{pair[1]};
    if (::pipe2(errors.data(), O_CLOEXEC) != 0) return system_error(errno, "no pipe", program.string());
    child.err = UniqueFd{errors[0]};
    const UniqueFd far_err{errors[1]};

    SpawnPlan plan;
    prepare(plan, far_stdio.get(), far_err.get());
    std::vector<std::string> words{program.string()};
    words.insert(words.end(), arguments.begin(), arguments.end());
    std::vector<char*> argv;
    for (std::string& word : words)
        argv.push_back(word.data());
    argv.push_back(nullptr);
    if (const int rc =
            ::posix_spawn(&child.pid, program.c_str(), &plan.files, &plan.attributes, argv.data(), environ)) {
        return fail(ErrorCode::kNotFound, std::string{"the program cannot be started: "} + std::strerror(rc),
                    program.string());
    }
    return child;
}

}  // namespace nsa::engines
