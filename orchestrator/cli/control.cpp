#include "cli/control.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <csignal>
#include <optional>

#include "api/service.hpp"

namespace nsa::cli {
namespace {

namespace asio = boost::asio;
using std::chrono::milliseconds;

api::Async<bool> sleep_for(milliseconds time) {
    asio::steady_timer timer(co_await asio::this_coro::executor);
    timer.expires_after(time);
    constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);
    const auto [ec] = co_await timer.async_wait(kTuple);
    co_return !ec;
}

}  // namespace

struct Control::Loop {
    Loop(asio::io_context& on, api::Service& of) : io(on), service(of), signals(on, SIGINT) { listen(); }

    void listen() {
        signals.async_wait([this](boost::system::error_code ec, int) {
            if (ec) return;
            ++interrupts;
            listen();
        });
    }

    // A call that Ctrl-C cuts short is abandoned, not cancelled: cancelling inside the service could undo
    // half of something. Its frame ends with the loop.
    template <class T>
    Result<T> run(api::Async<T> call) {
        struct Outcome {
            std::optional<Result<T>> result;
            std::exception_ptr exception;
        };
        const auto outcome = std::make_shared<Outcome>();
        const auto store = [outcome](std::exception_ptr exception, Result<T> result) {
            outcome->exception = std::move(exception);
            outcome->result = std::move(result);
        };
        asio::co_spawn(io, std::move(call), store);
        const int before = interrupts;
        while (!outcome->result && interrupts == before)
            io.run_one();  // never out of work: the signals are waited for
        if (outcome->exception) std::rethrow_exception(outcome->exception);
        if (!outcome->result) return fail(ErrorCode::kTimeout, "interrupted");
        return std::move(*outcome->result);
    }

    asio::io_context& io;
    api::Service& service;
    asio::signal_set signals;
    int interrupts = 0;
};

Control::Control(asio::io_context& io, api::Service& service) : loop_(std::make_unique<Loop>(io, service)) {}
Control::~Control() = default;

int Control::interrupts() const {
    return loop_->interrupts;
}

Result<api::SubmitReply> Control::submit(api::SubmitRequest request) {
    return loop_->run(loop_->service.submit(std::move(request)));
}
Result<std::vector<api::RunView>> Control::list_runs(int limit) {
    return loop_->run(loop_->service.list_runs(limit));
}
Result<api::RunView> Control::wait_run(const RunId& run, std::uint64_t since, milliseconds wait) {
    return loop_->run(loop_->service.wait_run(run, since, wait));
}
Result<api::LogChunk> Control::read_log(const api::LogRequest& request) {
    return loop_->run(loop_->service.read_log(request));
}
Result<api::RunView> Control::cancel(const RunId& run) {
    return loop_->run(loop_->service.cancel(run));
}
Result<api::ReportView> Control::report(const RunId& run) {
    return loop_->run(loop_->service.report(run));
}
Result<std::vector<api::ArtifactView>> Control::artifacts(const RunId& run) {
    return loop_->run(loop_->service.artifacts(run));
}
Result<api::InstanceView> Control::add_instance(api::InstanceRequest request) {
    return loop_->run(loop_->service.add_instance(std::move(request)));
}
Result<api::InstanceView> Control::probe_instance(const InstanceName& name) {
    return loop_->run(loop_->service.probe_instance(name));
}
Result<std::vector<api::InstanceView>> Control::list_instances() {
    return loop_->run(loop_->service.list_instances());
}
Result<api::VersionView> Control::version() {
    return loop_->run(loop_->service.version());
}

void Control::pause(milliseconds time) {
    (void)loop_->run(sleep_for(time));
}

}  // namespace nsa::cli
