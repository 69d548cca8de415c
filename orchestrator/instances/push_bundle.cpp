#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <optional>

#include "instances/core_bundle.hpp"

namespace nsa::instances {
namespace asio = boost::asio;
namespace {

constexpr std::size_t kAtOnce = 16;  // files under way: enough to hide the round trips

// Shared by the lanes; each takes the next file until none is left or one has failed.
struct Push {
    Push(const asio::any_io_executor& executor, engines::WorkerClient& to, const CoreBundle& from,
         std::string where, engines::Timeout limit)
        : client(to),
          bundle(from),
          source_dir(std::move(where)),
          timeout(limit),
          done(executor, asio::steady_timer::time_point::max()) {}

    engines::WorkerClient& client;
    const CoreBundle& bundle;
    const std::string source_dir;
    const engines::Timeout timeout;
    std::size_t next = 0, sent = 0, lanes = 0;
    std::optional<Error> failed;
    std::exception_ptr thrown;
    asio::steady_timer done;  // cancelled by the last lane
};

asio::awaitable<void> lane(std::shared_ptr<Push> push) {
    while (!push->failed && push->next < push->bundle.files.size()) {
        const BundleFile& file = push->bundle.files[push->next++];
        engines::PutTarget target;
        target.path = push->source_dir + "/" + file.path;
        const auto put = co_await push->client.put_file(target, file.local, push->timeout);
        if (!put) {
            push->failed = put.error();
        } else if (!put->existed) {
            ++push->sent;
        }
    }
}

}  // namespace

engines::Async<std::size_t> push_core_bundle(engines::WorkerClient& client, const CoreBundle& bundle,
                                             engines::Timeout timeout) {
    const asio::any_io_executor executor = co_await asio::this_coro::executor;
    // The home does not matter: only the folder below it.
    const std::string source_dir = plan_core_build(bundle, "").source_dir;
    const auto push = std::make_shared<Push>(executor, client, bundle, source_dir, timeout);
    push->lanes = std::min(kAtOnce, bundle.files.size());
    for (std::size_t i = push->lanes; i > 0; --i) {
        asio::co_spawn(executor, lane(push), [push](std::exception_ptr thrown) {
            if (thrown) push->thrown = thrown;
            if (--push->lanes == 0) push->done.cancel();
        });
    }
    // Ended by the lanes, each of whose waits has the timeout.
    while (push->lanes > 0)
        co_await push->done.async_wait(asio::as_tuple(asio::use_awaitable));
    if (push->thrown) std::rethrow_exception(push->thrown);
    if (push->failed) co_return *push->failed;
    co_return push->sent;
}

}  // namespace nsa::instances
