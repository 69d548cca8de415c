#include <utility>

#include "engines/child_end.hpp"

#include <signal.h>
#include <sys/wait.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/process/v2/process.hpp>
#include <optional>
#include <set>

namespace nsa::engines {
namespace asio = boost::asio;

struct ChildEnd::Wait {
    Wait(const asio::any_io_executor& executor, pid_t pid) : process{executor, pid} {}

    void ended(int wait_status) {
        status = wait_status;
        // Its pid is free from here on, and Boost.Process would still reap and kill by it.
        process.detach();
        for (asio::steady_timer* waiter : waiters)
            waiter->cancel();
    }

    boost::process::v2::process process;
    std::optional<int> status;                // as waitpid() gives it, once it has ended
    std::set<asio::steady_timer*> waiters{};  // cancelled at the end
};

ChildEnd::ChildEnd(std::shared_ptr<Wait> wait) : wait_{std::move(wait)} {}
ChildEnd::ChildEnd(ChildEnd&&) noexcept = default;

ChildEnd::~ChildEnd() {
    if (!wait_ || wait_->status) return;
    kill();
    boost::system::error_code gone;
    wait_->process.wait(gone);
    wait_->process.detach();  // aborts the wait in flight, which holds the state until its loop has seen it
}

Result<ChildEnd> ChildEnd::watch(const asio::any_io_executor& executor, pid_t pid) {
    try {
        auto wait = std::make_shared<Wait>(executor, pid);
        wait->process.async_wait([wait](boost::system::error_code failed, int) {
            // Failed: aborted by the destructor.
            if (!failed) wait->ended(wait->process.native_exit_code());
        });
        return ChildEnd{std::move(wait)};
    } catch (const boost::system::system_error& error) {
        ::kill(pid, SIGKILL);
        ::waitpid(pid, nullptr, 0);
        return fail(ErrorCode::kInternal, std::string{"no pidfd: "} + error.what(),
                    "process " + std::to_string(pid));
    }
}

asio::awaitable<bool> ChildEnd::within(std::chrono::milliseconds limit) {
    const std::shared_ptr<Wait> wait = wait_;
    if (wait->status) co_return true;
    asio::steady_timer timer{wait->process.get_executor(), limit};
    wait->waiters.insert(&timer);
    co_await timer.async_wait(asio::as_tuple(asio::use_awaitable));
    wait->waiters.erase(&timer);
    co_return wait->status.has_value();
}

void ChildEnd::kill() {
    // Not terminate(): newer versions of Boost reap in it, and the wait in flight never learns the end.
    if (!wait_->status) ::kill(wait_->process.id(), SIGKILL);
}

std::string ChildEnd::text() const {
    if (!wait_->status) return {};
    if (WIFSIGNALED(*wait_->status)) return "signal " + std::to_string(WTERMSIG(*wait_->status));
    return "exit status " + std::to_string(WEXITSTATUS(*wait_->status));
}

}  // namespace nsa::engines
