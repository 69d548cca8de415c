// Follows a run on its host: journal lines into the store, log bytes into files, until it is over.
#include <algorithm>
#include <boost/asio/experimental/awaitable_operators.hpp>

#include "daemon/remote_end.hpp"
#include "daemon/run_sink.hpp"
#include "language/failpoint.hpp"

namespace nsa::daemon {

namespace asio = boost::asio;
using namespace boost::asio::experimental::awaitable_operators;

namespace {

// Where the journal and the logs go on.
asio::awaitable<Result<protocol::Attach>> continuation(Workplace& place, const scheduler::Ticket& ticket,
                                                       RunSink& sink) {
    auto read = [&](store::Store& store) { return store.find_run(ticket.run); };
    const Result<store::RunRow> row = co_await place.books.read(read);
    if (!row) co_return row.error();
    protocol::Attach request;
    request.run = {ticket.run, ticket.attempt};
    const bool any_started = std::any_of(row->cases.begin(), row->cases.end(), [](const store::CaseRow& one) {
        return one.state != store::CaseState::kWaiting;
    });
    if (row->attempt && row->attempt->attempt == ticket.attempt) {
        request.from_seq = row->attempt->last_seq + 1;
        sink.finished = row->attempt->finished;
        if (any_started) place.emit(scheduler::Progress{ticket, true, false});
    }
    if (any_started) {
        auto sizes = [&] { return Result<std::map<std::string, std::uint64_t>>(sink.files().log_sizes()); };
        Result<std::map<std::string, std::uint64_t>> offsets = co_await place.log_disk.call(sizes);
        request.log_offsets = std::move(*offsets);
    }
    co_return request;
}

}  // namespace

ActResult follow(Workplace& place, scheduler::Attach act) {
    const std::shared_ptr<HostSession> session = place.instances.session(act.instance);
    if (!session) co_return link_is_down(act.instance);
    failpoint("daemon.attach.begin");
    RunSink sink(place, act.ticket, co_await asio::this_coro::executor);
    Result<protocol::Attach> request = co_await continuation(place, act.ticket, sink);
    if (!request) co_return request.error();
    // Whichever ends first ends the other: the run, the link, or a store that takes nothing.
    auto attached = session->client.attach(std::move(*request), sink);
    auto ending = co_await (std::move(attached) || sink.keep_writing());
    if (const Error* refused = std::get_if<Error>(&ending)) co_return *refused;
    const Result<protocol::AttachEnd>& end = std::get<0>(ending);
    const Result<void> rest = co_await sink.write_rest();
    if (!end) co_return end.error();
    if (!rest) co_return rest.error();
    failpoint("daemon.attach.ended");
    co_return remote_end(act.ticket, *end, sink.finished);
}

}  // namespace nsa::daemon
