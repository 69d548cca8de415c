// The scheduler's hands: keeps its state, makes its saves durable, then starts its acts and hands their
// answers back.
//
// Saves of one turn are committed by one visit to the store's thread, in order; the acts that were asked for
// with them start afterwards. While a commit is under way further ones gather. When the store cannot write
// (full disk) the saves are repeated and the acts wait: nothing happens outside that is not written down. An
// act whose save is refused is not started, and answered as failed.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <deque>
#include <map>
#include <optional>
#include <vector>

#include "daemon/acts.hpp"
#include "daemon/task_group.hpp"
#include "scheduler/scheduler.hpp"

namespace nsa::daemon {

class Performer {
  public:
    // The workplace must outlive the object; its emit is apply() of this one.
    Performer(boost::asio::any_io_executor loop, Workplace& place, TaskGroup& tasks);

    void apply(const scheduler::Event& event);
    // Renders the reports that are missing: of runs whose daemon died, or met a full disk, before theirs.
    void render_missing();
    // No event moves anything from here on.
    void stop();

  private:
    boost::asio::awaitable<void> drain();
    boost::asio::awaitable<void> gather();
    boost::asio::awaitable<void> save(std::vector<scheduler::Action> saves, std::map<RunId, Error>& refused);
    boost::asio::awaitable<bool> save_or_give_up(std::vector<scheduler::Action> saves,
                                                 std::map<RunId, Error>& refused);
    void start(scheduler::Action act);
    template <class Act>
    boost::asio::awaitable<void> answer(ActResult (*perform)(Workplace&, Act), Act act);
    void render(RunId run);
    boost::asio::awaitable<void> report(RunId run);
    boost::asio::awaitable<void> missing_reports(std::chrono::milliseconds after);
    void act_failed(const scheduler::Ticket& ticket, const InstanceName& instance, const Error& error,
                    const std::shared_ptr<HostSession>& session);
    void arm_timer();

    Workplace& place_;
    TaskGroup& tasks_;
    scheduler::State state_;
    std::deque<scheduler::Action> pending_;
    bool urgent_ = false;  // something in pending_ cannot wait
    bool draining_ = false, stopped_ = false;
    boost::asio::steady_timer hurry_;  // of gather(): cancelled when it should end
    boost::asio::steady_timer timer_;
    std::optional<scheduler::Instant> armed_;
    std::optional<Error> last_trouble_;  // of the store; said once
    bool reports_wait_ = false;          // missing_reports() is to come
};

}  // namespace nsa::daemon
