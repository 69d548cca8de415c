#include <utility>

#include "serve/session.hpp"

#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <exception>

#include "language/failpoint.hpp"
#include "serve/control.hpp"
#include "serve/orphans.hpp"
#include "serve/probe_child.hpp"

namespace nsa::serve {
namespace {

namespace net = boost::asio;
using protocol::Frame;
using protocol::FrameType;
using protocol::RemoteState;

constexpr auto kAsTuple = net::as_tuple(net::use_awaitable);
// How often a followed run is looked at when it writes nothing: three stat calls.
constexpr std::chrono::milliseconds kPollTime{10};
constexpr std::chrono::milliseconds kLivenessTime{500};
constexpr std::chrono::seconds kCreditTime{5};
constexpr int kMostProbes = 4;
constexpr std::size_t kMostUploads = 256, kMostStreams = 256;

Error protocol_error(std::string text, std::string where) {
    return fail(ErrorCode::kProtocol, std::move(text), std::move(where));
}

}  // namespace

Session::Session(net::io_context& context, Home home, std::string version, SupervisorCommand supervisor)
    : context_{context},
      home_{std::move(home)},
      version_{std::move(version)},
      supervisor_{std::move(supervisor)},
      outbox_{context.get_executor()} {}

net::awaitable<bool> Session::read_from(net::posix::stream_descriptor& in) {
    protocol::FrameReader reader;
    std::string chunk(protocol::kDataChunk, '\0');
    const auto buffer = net::buffer(chunk);
    while (!outbox_.is_broken()) {
        // A client that asks and never reads stops being read, too.
        held_up_ = true;
        co_await outbox_.room(Outbox::kReplyMark);
        heard_at_ = alive_at();
        held_up_ = false;
        const auto [ended, count] = co_await in.async_read_some(buffer, kAsTuple);
        if (ended) co_return true;
        heard_at_ = std::chrono::steady_clock::now();
        reader.feed(std::string_view{chunk}.substr(0, count));
        for (;;) {
            auto frame = reader.next();
            if (!frame) {
                refuse(0, frame.error());
                co_return false;
            }
            if (!*frame) break;
            handle(std::move(**frame));
        }
    }
    co_return true;
}

void Session::reply(std::uint32_t request, std::string_view payload) {
    if (payload.size() > protocol::kMaxPayload) {
        return refuse(request, fail(ErrorCode::kInternal, "the answer is larger than a frame", "reply"));
    }
    outbox_.push(FrameType::kReply, request, payload);
}

void Session::refuse(std::uint32_t request, const Error& error) {
    outbox_.push(FrameType::kError, request, protocol::encode(error));
}

void Session::handle(Frame frame) {
    if (!greeted_ && frame.type != FrameType::kHello) {
        return refuse(frame.request, protocol_error("the first request must be hello", "session"));
    }
    switch (frame.type) {
        case FrameType::kHello:
            return handle_hello(frame);
        case FrameType::kPing:
            return reply(frame.request, "{}");
        case FrameType::kProbe:
            return spawn(frame.request, run_probe(frame.request));
        case FrameType::kPut:
            return handle_put(frame);
        case FrameType::kPutData:
            return handle_put_data(frame);
        case FrameType::kLaunch: {
            auto launch = protocol::decode<protocol::Launch>(frame.payload);
            if (!launch) return refuse(frame.request, launch.error());
            return spawn(frame.request, run_launch(frame.request, std::move(*launch)));
        }
        case FrameType::kAttach:
            return handle_attach(frame);
        case FrameType::kFetch:
            return handle_fetch(frame);
        case FrameType::kCredit:
            return handle_credit(frame);
        case FrameType::kCancel:
            return handle_run_request(frame);
        case FrameType::kListRuns:
            return reply(frame.request, protocol::encode(list_runs(home_)));
        case FrameType::kDetach: {
            const auto stream = streams_.find(frame.request);
            if (stream == streams_.end()) return;  // it has just ended by itself
            stream->second->detached = true;
            stream->second->wake.cancel();
            return;
        }
        case FrameType::kReply:
        case FrameType::kError:
        case FrameType::kEvents:
        case FrameType::kLog:
        case FrameType::kFile:
            break;
    }
    refuse(frame.request, protocol_error("that frame type is an answer, not a request", "session"));
}

void Session::handle_hello(const Frame& frame) {
    const auto hello = protocol::decode<protocol::Hello>(frame.payload);
    if (!hello) return refuse(frame.request, hello.error());
    if (hello->protocol != protocol::kProtocolVersion) {
        return refuse(frame.request,
                      protocol_error("the client speaks protocol " + std::to_string(hello->protocol) +
                                         ", this worker speaks " + std::to_string(protocol::kProtocolVersion),
                                     "hello"));
    }
    greeted_ = true;
    reply(frame.request, protocol::encode(home_.facts(version_)));
}

void Session::handle_put(const Frame& frame) {
    auto put = protocol::decode<protocol::Put>(frame.payload);
    if (!put) return refuse(frame.request, put.error());
    const std::string where = "put " + put->path;
    if (uploads_.contains(frame.request)) {
        return refuse(frame.request, protocol_error("this request id is in use", where));
    }
    const auto existed = is_there(home_, *put);
    if (!existed) return refuse(frame.request, existed.error());
    if (*existed || put->only_check) {
        const protocol::PutReply answer{*existed};
        return reply(frame.request, protocol::encode(answer));
    }
    if (uploads_.size() >= kMostUploads) {
        return refuse(frame.request, fail(ErrorCode::kConflict, "too many files are under way", where));
    }
    auto upload = Upload::begin(home_, std::move(*put), ++upload_count_);
    if (!upload) return refuse(frame.request, upload.error());
    const bool complete = upload->is_complete();  // an empty file
    uploads_.emplace(frame.request, std::move(*upload));
    if (complete) finish_put(frame.request);
}

void Session::handle_put_data(const Frame& frame) {
    const auto upload = uploads_.find(frame.request);
    // The answer was given before the data came (it was there already, or failed): the client sent it
    // unasked.
    if (upload == uploads_.end()) return;
    if (const auto written = upload->second.write(frame.payload); !written) {
        uploads_.erase(upload);
        return refuse(frame.request, written.error());
    }
    if (upload->second.is_complete()) finish_put(frame.request);
}

void Session::finish_put(std::uint32_t request) {
    const auto upload = uploads_.find(request);
    const auto finished = upload->second.finish();
    uploads_.erase(upload);
    if (!finished) return refuse(request, finished.error());
    reply(request, protocol::encode(protocol::PutReply{}));
}

Result<std::shared_ptr<Session::Stream>> Session::open_stream(std::uint32_t request,
                                                              const protocol::RunKey& run,
                                                              std::uint64_t credit) {
    if (streams_.contains(request)) return protocol_error("this request id is in use", "stream");
    if (streams_.size() >= kMostStreams)
        return fail(ErrorCode::kConflict, "too many streams are under way", "stream");
    auto stream = std::make_shared<Stream>(context_);
    stream->run = run;
    stream->credit = credit;
    streams_.emplace(request, stream);
    return stream;
}

void Session::handle_attach(const Frame& frame) {
    const auto attach = protocol::decode<protocol::Attach>(frame.payload);
    if (!attach) return refuse(frame.request, attach.error());
    const auto state = run_state(home_, attach->run);
    if (!state) return refuse(frame.request, state.error());
    if (*state == RemoteState::kUnknownRun) {
        const protocol::AttachEnd end{RemoteState::kUnknownRun, 0};
        return reply(frame.request, protocol::encode(end));
    }
    auto run_dir = home_.open_run(attach->run);
    if (!run_dir) return refuse(frame.request, run_dir.error());
    auto pump = AttachPump::open(std::move(*run_dir), *attach);
    if (!pump) return refuse(frame.request, pump.error());
    const auto stream = open_stream(frame.request, attach->run, attach->credit);
    if (!stream) return refuse(frame.request, stream.error());
    spawn(frame.request, run_attach(frame.request, *stream, std::move(*pump)));
}

void Session::handle_fetch(const Frame& frame) {
    auto fetch = protocol::decode<protocol::Fetch>(frame.payload);
    if (!fetch) return refuse(frame.request, fetch.error());
    auto run_dir = home_.open_run(fetch->run);
    if (!run_dir) return refuse(frame.request, run_dir.error());
    const auto stream = open_stream(frame.request, fetch->run, fetch->credit);
    if (!stream) return refuse(frame.request, stream.error());
    FetchPump pump{std::move(*run_dir), std::move(fetch->items)};
    spawn(frame.request, run_fetch(frame.request, *stream, std::move(pump)));
}

void Session::handle_credit(const Frame& frame) {
    const auto bytes = protocol::decode_credit(frame.payload);
    const auto stream = streams_.find(frame.request);
    if (stream == streams_.end()) return;  // it has just ended
    if (!bytes) return refuse(frame.request, bytes.error());
    auto& credit = stream->second->credit;
    credit = credit > ~0ULL - *bytes ? ~0ULL : credit + *bytes;
    stream->second->wake.cancel();
}

void Session::handle_run_request(const Frame& frame) {
    const auto run = protocol::decode<protocol::RunKey>(frame.payload);
    if (!run) return refuse(frame.request, run.error());
    spawn(frame.request, run_cancel(frame.request, *run));
}

// A task ends with an answer or, for a bug or a lost resource, with an error that says so.
void Session::spawn(std::uint32_t request, net::awaitable<void> work) {
    net::co_spawn(context_, std::move(work), [this, request](std::exception_ptr failed) {
        streams_.erase(request);
        if (!failed) return;
        try {
            std::rethrow_exception(failed);
        } catch (const std::exception& error) {
            refuse(request, fail(ErrorCode::kInternal, error.what(), "request"));
        }
    });
}

net::awaitable<void> Session::run_probe(std::uint32_t request) {
    if (probes_ >= kMostProbes) {
        refuse(request, fail(ErrorCode::kConflict, "too many probes are under way", "probe"));
        co_return;
    }
    ++probes_;
    const auto answer = co_await probe_in_child(home_);
    --probes_;
    if (answer) {
        reply(request, protocol::encode(*answer));
    } else {
        refuse(request, answer.error());
    }
}

net::awaitable<void> Session::run_launch(std::uint32_t request, protocol::Launch request_body) {
    const auto answer = co_await launch(home_, std::move(request_body), supervisor_);
    if (answer) {
        reply(request, protocol::encode(*answer));
    } else {
        refuse(request, answer.error());
    }
}

net::awaitable<void> Session::run_cancel(std::uint32_t request, protocol::RunKey run) {
    const auto answer = co_await cancel(home_, std::move(run));
    if (answer) {
        reply(request, protocol::encode(*answer));
    } else {
        refuse(request, answer.error());
    }
}

net::awaitable<void> Session::run_attach(std::uint32_t request, std::shared_ptr<Stream> stream,
                                         AttachPump pump) {
    using Clock = std::chrono::steady_clock;
    protocol::AttachEnd end{RemoteState::kFinished, 0};
    auto next_look = Clock::now();
    while (!outbox_.is_broken() && !pump.is_over()) {
        if (stream->detached) {
            end.state = RemoteState::kRunning;
            break;
        }
        co_await outbox_.room(Outbox::kDataMark);
        auto frame = pump.next(stream->credit);
        if (!frame) {
            refuse(request, frame.error());
            co_return;
        }
        if (*frame) {
            stream->credit -= (*frame)->payload.size();
            outbox_.push((*frame)->type, request, (*frame)->payload);
            continue;
        }
        if (!pump.has_ended() && Clock::now() >= next_look) {
            next_look = Clock::now() + kLivenessTime;
            const auto state = run_state(home_, stream->run);
            if (state && *state != RemoteState::kRunning && *state != RemoteState::kFinished) {
                // Its last lines are read before the end is told.
                end.state = *state;
                failpoint("worker.attach.found_dead");
                pump.supervisor_is_dead();
                if (*state == RemoteState::kSupervisorDead) co_await kill_orphans(home_, stream->run);
                continue;
            }
        }
        stream->wake.expires_after(kPollTime);
        co_await stream->wake.async_wait(kAsTuple);
    }
    failpoint("worker.attach.before_end");
    end.last_seq = pump.last_seq();
    streams_.erase(request);
    reply(request, protocol::encode(end));
}

net::awaitable<void> Session::run_fetch(std::uint32_t request, std::shared_ptr<Stream> stream,
                                        FetchPump pump) {
    while (!outbox_.is_broken() && !pump.is_done() && !stream->detached) {
        co_await outbox_.room(Outbox::kDataMark);
        const std::string payload = pump.next(stream->credit);
        if (!payload.empty()) {
            stream->credit -= payload.size();
            outbox_.push(FrameType::kFile, request, payload);
        } else if (!pump.is_done()) {
            stream->wake.expires_after(kCreditTime);
            co_await stream->wake.async_wait(kAsTuple);
        }
    }
    failpoint("worker.fetch.before_end");
    const protocol::FetchEnd end{pump.take_missing()};
    streams_.erase(request);
    reply(request, protocol::encode(end));
}

}  // namespace nsa::serve
