// A real nsad with a state folder of its own, and its API. Killed, if it still runs, when it goes out of
// scope.
#pragma once

#include <sys/types.h>

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "api/client.hpp"
#include "support/temp_dir.hpp"

namespace nsa::test {

// How an nsad is started.
struct NsadOptions {
    std::vector<std::string> prefix = {};       // words before nsad's own, like `unshare -m ...`
    std::vector<std::string> flags = {};        // beside --foreground, --state-dir, --artifacts and --worker
    std::vector<std::string> environment = {};  // "NAME=value", beside HOME and PATH
    bool lab = false;                           // nsad-lab: the same objects with live failpoints
    std::filesystem::path socket = {};          // empty: in the state folder
};

class NsadProcess {
  public:
    // dir: holds state/, artifacts/ and home/ ($HOME of the daemon and of the local worker). Throws, with
    // what nsad said, when it does not serve.
    explicit NsadProcess(std::filesystem::path dir, NsadOptions options = {});
    // The same with a prefix alone.
    NsadProcess(std::filesystem::path dir, std::vector<std::string> prefix)
        : NsadProcess(std::move(dir), NsadOptions{.prefix = std::move(prefix)}) {}
    ~NsadProcess();
    NsadProcess(const NsadProcess&) = delete;
    NsadProcess& operator=(const NsadProcess&) = delete;

    // How it ended by itself, as waitpid says, or nothing at the limit.
    std::optional<int> wait_end(std::chrono::milliseconds limit);
    // Sends the signal and returns how it ended, as waitpid says, or nothing at the limit.
    std::optional<int> end(int signal, std::chrono::milliseconds limit);
    pid_t pid() const { return pid_; }
    // Memory in KiB: the most it ever had, and what it has now (VmHWM and VmRSS of /proc).
    long peak_kib() const;
    long memory_kib() const;

    api::Service& api() { return client_; }
    // A call of the API, to its end.
    template <class T>
    T call(api::Async<T> async);

    RunId submit(const std::string& yaml, const std::string& instance = "local");
    // Waits until the run is DONE, or shows the wanted state or message; throws at the limit.
    api::RunView wait_done(const RunId& run, std::chrono::milliseconds limit = std::chrono::seconds{60});
    api::RunView wait_state(const RunId& run, language::RunState state,
                            std::chrono::milliseconds limit = std::chrono::seconds{60});
    // The same while the daemon may close its API for a while and open it again.
    api::RunView wait_done_through_restarts(const RunId& run,
                                            std::chrono::milliseconds limit = std::chrono::seconds{60});
    std::string whole_log(const RunId& run, const std::string& key, const std::string& stream = "stdout");

  private:
    std::filesystem::path dir_;
    pid_t pid_ = -1;
    boost::asio::io_context io_{1};
    api::Client client_;
};

// How an nsad that is not expected to serve ends, and what it says.
struct Refusal {
    int exit_code = -1;
    std::string said;
};
Refusal start_and_fail(const std::filesystem::path& dir, const NsadOptions& options = {});

}  // namespace nsa::test
