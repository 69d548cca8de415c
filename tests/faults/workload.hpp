// Somebody who uses the daemon while it is being hurt: keeps a few runs in flight, repeats what was not
// answered with the same idempotency key, cancels one now and then, and remembers what was acknowledged.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <functional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "api/client.hpp"
#include "oracle.hpp"
#include "trial.hpp"

namespace nsa::faults {

// Longer than any call of Workload::api() takes: each ends by its own deadline. A save waits for its fsync,
// which a disk busy with other work can hold up for many seconds.
inline constexpr std::chrono::seconds kAnswered{200};

struct WorkloadShape {
    std::vector<std::string> instances;  // a run names one of them, by turns; "": any that fits
    int in_flight = 6;
    int cancel_percent = 5;
    // The script of the nth run; it appends its NSA_RUN_DIR to the marks by itself (see marked()).
    std::function<std::string(int)> script;
};

// The script, after a line that counts its execution.
std::string marked(const Trial& trial, const std::string& script);
// A short step with output, a log on stderr and an artifact; takes a few milliseconds.
std::string short_step(const Trial& trial);

class Workload {
  public:
    using Clock = std::chrono::steady_clock;

    Workload(boost::asio::io_context& io, const Trial& trial, WorkloadShape shape, std::uint64_t seed);

    void use_socket(const std::filesystem::path& socket);
    void use_script(std::function<std::string(int)> script) { shape_.script = std::move(script); }
    // While the daemon may live: works until then. Calls may be left hanging.
    void work_until(Clock::time_point until);
    // The daemon is dead: what hangs fails.
    void daemon_died();
    // No new runs; all that were asked for are acknowledged and DONE. Empty, or what is missing at the limit.
    std::string settle(std::chrono::milliseconds limit);

    // A run of its own, outside the count in flight. Its id, or nothing when there was no answer: it is asked
    // for again later.
    void add(const std::string& key, const std::string& script, const std::string& instance);
    void add_spec(const std::string& key, const std::string& yaml, const std::string& instance);
    // Asks for it; false when there was no answer, or nothing to cancel yet.
    bool cancel(const std::string& key);
    // As the daemon tells; nothing without an answer.
    std::optional<language::RunState> state_of(const RunId& run);
    std::optional<RunId> id_of(const std::string& key) const;

    const Submissions& submissions() const { return submissions_; }
    bool is_done(const std::string& key) const;
    std::size_t finished() const { return done_.size(); }
    api::Service& api() { return client_; }

  private:
    boost::asio::awaitable<void> loop();
    boost::asio::awaitable<bool> refresh();
    void note_end(const api::RunView& run);
    boost::asio::awaitable<void> ask(std::string key);
    boost::asio::awaitable<void> cancel_one();
    std::size_t in_flight() const;
    bool draw(int percent) { return static_cast<int>(random_() % 100) < percent; }

    struct Wanted {
        std::string yaml, instance;
        bool counts = true;  // among those in flight
    };
    boost::asio::io_context& io_;
    const Trial& trial_;
    WorkloadShape shape_;
    std::mt19937_64 random_;
    api::Client client_;
    std::map<std::string, Wanted> wanted_;  // by key
    Submissions submissions_;
    std::set<std::string> done_;  // run ids
    int made_ = 0;
    bool working_ = false, stop_ = false, settling_ = false;
    std::exception_ptr thrown_;
};

}  // namespace nsa::faults
