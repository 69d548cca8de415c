#include "daemon/link.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "daemon/version.hpp"
#include "language/failpoint.hpp"

namespace nsa::daemon {

namespace asio = boost::asio;
using scheduler::LinkDown;
using scheduler::LinkUp;
using std::chrono::seconds;

namespace {

constexpr seconds kAnswer{10};    // of hello and of the list of runs
constexpr seconds kPingEvery{5};  // with kPingAnswer: a dead link is seen within 20 s, with a second to spare
constexpr seconds kPingAnswer{14};

}  // namespace

language::Reason reason_of(const Error& error) {
    using language::Reason;
    switch (error.code) {
        case ErrorCode::kHostKeyRefused:
            return Reason::kHostKeyRefused;
        case ErrorCode::kAuthRefused:
            return Reason::kAuthRefused;
        case ErrorCode::kUnreachable:
        case ErrorCode::kTimeout:
            return Reason::kHostUnreachable;
        case ErrorCode::kNoSpace:
            return Reason::kHostDiskFull;
        default:
            return Reason::kDeployFailed;
    }
}

Link::Link(Parts parts, engines::InstanceConfig config)
    : parts_(std::move(parts)), config_(std::move(config)), next_ping_(parts_.loop) {}
Link::~Link() = default;

void Link::connect() {
    close();
    parts_.tasks.spawn(live(shared_from_this(), generation_), "link to " + config_.name.value);
}

void Link::check() {
    next_ping_.cancel();
}

void Link::close() {
    ++generation_;
    if (session_) session_->client.close();
    session_.reset();
    next_ping_.cancel();
}

void Link::went_down(const Error& error) {
    parts_.emit(LinkDown{config_.name, reason_of(error), error.describe(), parts_.jitter()});
}

asio::awaitable<void> Link::live(std::shared_ptr<Link> self, std::uint64_t generation) {
    failpoint("daemon.link.before_open");
    std::optional<Error> why;
    try {
        why = co_await self->hold(generation);
    } catch (const std::exception& thrown) {
        // Neither up nor down for ever would be worse than one more connect.
        why = fail(ErrorCode::kInternal, thrown.what(), "instance " + self->config_.name.value);
    }
    if (generation != self->generation_) co_return;
    self->close();
    self->went_down(*why);
}

asio::awaitable<Error> Link::hold(std::uint64_t generation) {
    const Error superseded = fail(ErrorCode::kUnreachable, "it was given up for a newer connection");
    Result<std::shared_ptr<HostSession>> session = co_await open();
    if (generation != generation_) co_return superseded;
    if (!session) co_return session.error();
    Result<std::vector<std::pair<RunId, Attempt>>> alive = co_await runs_alive(*session);
    if (generation != generation_) co_return superseded;
    if (!alive) co_return alive.error();
    failpoint("daemon.link.up");
    session_ = *session;
    parts_.emit(LinkUp{config_.name, std::move(*alive)});
    co_return co_await watch(*session);
}

asio::awaitable<Result<std::shared_ptr<HostSession>>> Link::open() {
    Result<std::unique_ptr<engines::ByteStream>> stream = co_await parts_.engine.open(config_);
    if (!stream) co_return stream.error();
    auto session = std::make_shared<HostSession>(HostSession{
        engines::WorkerClient(parts_.loop, std::move(*stream), "instance " + config_.name.value), {}});
    const std::string client = std::string("nsad ") + kVersion;
    Result<protocol::HelloReply> hello = co_await session->client.hello(client, kAnswer);
    if (!hello) co_return hello.error();
    session->hello = std::move(*hello);
    co_return session;
}

// Only runs of ours: another daemon may use the same account of the host.
asio::awaitable<Result<std::vector<std::pair<RunId, Attempt>>>> Link::runs_alive(
    std::shared_ptr<HostSession> session) {
    Result<std::vector<protocol::RunListing>> listed = co_await session->client.list_runs(kAnswer);
    if (!listed) co_return listed.error();
    std::erase_if(*listed, [](const auto& one) { return one.state != protocol::RemoteState::kRunning; });
    std::vector<std::pair<RunId, Attempt>> alive;
    if (listed->empty()) co_return alive;
    auto pick = [&listed](store::Store& store) -> Result<std::vector<std::pair<RunId, Attempt>>> {
        std::vector<std::pair<RunId, Attempt>> ours;
        for (const protocol::RunListing& one : *listed) {
            const Result<store::RunRow> row = store.find_run(one.run.run);
            if (row) {
                ours.emplace_back(one.run.run, one.run.attempt);
            } else if (row.error().code != ErrorCode::kNotFound) {
                // A job of ours that went unseen would have the next run start beside it.
                return row.error();
            }
        }
        return ours;
    };
    co_return co_await parts_.books.read(pick);
}

asio::awaitable<Error> Link::watch(std::shared_ptr<HostSession> session) {
    constexpr auto kQuiet = asio::as_tuple(asio::use_awaitable);
    for (;;) {
        if (!session->client.is_open()) co_return *session->client.end();
        next_ping_.expires_after(kPingEvery);
        (void)co_await next_ping_.async_wait(kQuiet);
        if (!session->client.is_open()) co_return *session->client.end();
        Result<std::chrono::microseconds> answered = co_await session->client.ping(kPingAnswer);
        if (!answered) co_return answered.error();
    }
}

}  // namespace nsa::daemon
