#include "daemon/service.hpp"

#include <unistd.h>

#include "daemon/attempt_files.hpp"
#include "daemon/clock.hpp"
#include "daemon/log_owner.hpp"
#include "daemon/recovery.hpp"
#include "daemon/version.hpp"
#include "daemon/views.hpp"
#include "language/failpoint.hpp"
#include "language/yaml/reader.hpp"

namespace nsa::daemon {

namespace asio = boost::asio;
using std::chrono::milliseconds;

namespace {

constexpr std::size_t kLogChunk = 256U << 10;  // the most that one read returns
constexpr milliseconds kSettle{20'000};        // for the first answer of an instance

Result<language::Plan> plan_of(const api::SubmitRequest& request) {
    const Result<language::ExperimentSpec> spec = language::parse_spec(request.spec_yaml, request.file);
    if (!spec) return spec.error();
    const Result<void> tree_allowed = language::check_working_tree(spec->code, request.working_tree);
    if (!tree_allowed) return tree_allowed.error();
    Result<language::Plan> plan = language::make_plan(*spec, request.spec_yaml);
    if (plan && spec->code.dirty) plan->working_tree = request.working_tree;
    return plan;
}

// A view costs its number of cases: changes of a large run are gathered before it is looked at again.
milliseconds gathering(std::size_t cases) {
    constexpr std::size_t kCasesPerMs = 20, kLongestMs = 50;
    return milliseconds(std::min(cases / kCasesPerMs, kLongestMs));
}

bool is_another_host(const engines::InstanceConfig& older, const engines::InstanceConfig& newer) {
    return older.engine != newer.engine || older.host != newer.host || older.port != newer.port ||
           older.user != newer.user || older.worker_home != newer.worker_home ||
           older.tool_path != newer.tool_path;
}

// An instance whose link is up cannot become another host under its run.
Result<void> check_idle(const std::vector<store::RunRow>& active, const InstanceName& name) {
    for (const store::RunRow& row : active) {
        if (!row.holds_lease || row.instance != name) continue;
        return fail(ErrorCode::kConflict,
                    "it is in use by run " + row.run.value + "; wait for it, cancel it, or take another name",
                    "instance " + name.value);
    }
    return {};
}

// Whether no byte can follow after `at`. Where nobody counted them, that is believed once a process is over
// and nothing of it came for the time of a wait.
bool is_complete(const store::RunRow& row, const LogOwner& owner, bool is_stdout, std::uint64_t at,
                 bool is_quiet) {
    if (row.state == language::RunState::kDone) return true;
    const std::optional<std::uint64_t> bytes = is_stdout ? owner.out_bytes : owner.err_bytes;
    return owner.over && (bytes ? at >= *bytes : is_quiet);
}

}  // namespace

api::Async<store::RunRow> DaemonService::find_run(RunId run) {
    if (place_.books.broken()) co_return *place_.books.broken();
    auto read = [&run](store::Store& store) { return store.find_run(run); };
    co_return co_await place_.books.read(read);
}

api::Async<api::SubmitReply> DaemonService::submit(api::SubmitRequest request) {
    const Call call(calls_);
    if (!place_.books.has_room()) co_return no_room(place_);
    const Result<language::Plan> plan = plan_of(request);
    if (!plan) co_return plan.error();
    const std::int64_t now_ms = wall_ms();
    store::NewRun row =
        store::new_run(mint_(now_ms), *plan, std::move(request.spec_yaml), request.file, now_ms);
    row.requested_instance = InstanceName{request.instance};
    row.idempotency_key = std::move(request.idempotency_key);
    auto save = [&row](store::Store& store) { return store.submit(row); };
    failpoint("daemon.submit.before_commit");
    const Result<store::Submitted> submitted = co_await place_.books.admit(row.run, save);
    if (!submitted) co_return submitted.error();
    failpoint("daemon.submit.after_commit");
    if (!submitted->existed) {
        place_.log.info("run " + row.run.value + ": submitted, " + row.name);
        place_.emit(submitted_event(row.run, *plan, row.requested_instance));
    }
    failpoint("daemon.submit.queued");
    co_return api::SubmitReply{submitted->run, submitted->existed};
}

api::Async<std::vector<api::RunView>> DaemonService::list_runs(int limit) {
    const Call call(calls_);
    auto read = [limit](store::Store& store) { return store.list_runs(limit); };
    const Result<std::vector<store::RunRow>> rows = co_await place_.books.read(read);
    if (!rows) co_return rows.error();
    std::vector<api::RunView> views;
    for (const store::RunRow& row : *rows)
        views.push_back(run_view(row));
    co_return views;
}

api::Async<api::RunView> DaemonService::wait_run(RunId run, std::uint64_t since, milliseconds wait) {
    const Call call(calls_);
    const auto deadline = std::chrono::steady_clock::now() + wait;
    Changes::Waiter waiter(place_.books.changes(), run);
    for (;;) {
        const Result<store::RunRow> row = co_await find_run(run);
        if (!row) co_return row.error();
        const bool over = place_.books.changes().closed() || std::chrono::steady_clock::now() >= deadline;
        if (row->version > since || over) co_return run_view(*row);
        co_await waiter.wait_until(deadline);
        co_await pause_for(gathering(row->cases.size()));
    }
}

api::Async<api::LogChunk> DaemonService::read_log(api::LogRequest request) {
    const Call call(calls_);
    const std::string where = "log of run " + request.run.value;
    const bool is_stdout = request.stream == "stdout";
    if (!is_stdout && request.stream != "stderr")
        co_return fail(ErrorCode::kUsage, "there is no stream \"" + request.stream + "\"; stdout or stderr",
                       where);
    const auto deadline = std::chrono::steady_clock::now() + request.wait;
    Changes::Waiter waiter(place_.log_growth, request.run);
    for (;;) {
        const Result<store::RunRow> row = co_await find_run(request.run);
        if (!row) co_return row.error();
        const Attempt attempt = row->attempt ? row->attempt->attempt : Attempt{0};
        auto read_setup = [&](store::Store& store) { return store.setup_results(request.run, attempt); };
        Result<std::vector<store::SetupRow>> setup = std::vector<store::SetupRow>{};
        if (names_setup(request.key.value)) setup = co_await place_.books.read(read_setup);
        if (!setup) co_return setup.error();
        const Result<LogOwner> owner = find_log_owner(*row, *setup, request.key.value);
        if (!owner) co_return owner.error();
        const AttemptFiles files(place_.write_back,
                                 attempt_dir(place_.config.artifacts_dir, request.run, attempt));
        const std::string path = owner->folder + "/" + request.stream;
        const bool is_asked = request.attempt.value == 0 || request.attempt == attempt;
        const std::uint64_t offset = is_asked ? request.offset : 0;  // a retry's log begins anew
        auto read = [&] { return files.read_at(path, offset, kLogChunk); };
        Result<std::string> bytes = co_await place_.log_disk.call(read);
        if (!bytes) co_return bytes.error();
        api::LogChunk chunk;
        chunk.attempt = attempt;
        chunk.next_offset = offset + bytes->size();
        const bool over = place_.log_growth.closed() || std::chrono::steady_clock::now() >= deadline;
        chunk.complete = bytes->size() < kLogChunk &&
                         is_complete(*row, *owner, is_stdout, chunk.next_offset, over && bytes->empty());
        if (!bytes->empty() || chunk.complete || over) {
            chunk.bytes = std::move(*bytes);
            co_return chunk;
        }
        co_await waiter.wait_until(deadline);
    }
}

api::Async<api::RunView> DaemonService::cancel(RunId run) {
    const Call call(calls_);
    const std::int64_t now_ms = wall_ms();
    auto save = [&](store::Store& store) { return store.request_cancel(run, now_ms); };
    failpoint("daemon.cancel.before_commit");
    const Result<std::uint64_t> asked = co_await place_.books.write(run, save);
    // A run that is over stays as it is, and the caller sees how it ended.
    if (!asked && asked.error().code != ErrorCode::kConflict) co_return asked.error();
    failpoint("daemon.cancel.after_commit");
    if (asked) {
        place_.log.info("run " + run.value + ": cancel asked");
        place_.emit(scheduler::CancelAsked{run});
    }
    const Result<store::RunRow> row = co_await find_run(run);
    if (!row) co_return row.error();
    co_return run_view(*row);
}

api::Async<api::ReportView> DaemonService::report(RunId run) {
    const Call call(calls_);
    const Result<store::RunRow> row = co_await find_run(run);
    if (!row) co_return row.error();
    if (row->state != language::RunState::kDone) {
        co_return fail(ErrorCode::kConflict,
                       "there is no report yet: the run is " + std::string(language::to_string(row->state)),
                       "run " + run.value);
    }
    const Result<store::ReportRow> rendered = co_await render_report(place_, run);
    if (!rendered) co_return rendered.error();
    co_return report_view(*rendered, *row->status);
}

api::Async<std::vector<api::ArtifactView>> DaemonService::artifacts(RunId run) {
    const Call call(calls_);
    const Result<store::RunRow> row = co_await find_run(run);
    if (!row) co_return row.error();
    auto read = [&run](store::Store& store) { return store.artifacts(run); };
    const Result<std::vector<store::ArtifactRow>> rows = co_await place_.books.read(read);
    if (!rows) co_return rows.error();
    const std::filesystem::path dir = row->artifact_dir;
    std::vector<api::ArtifactView> views;
    for (const store::ArtifactRow& one : *rows)
        views.push_back({one.path, one.size, one.sha256, (dir / one.path).string()});
    co_return views;
}

api::Async<api::VersionView> DaemonService::version() {
    const Call call(calls_);
    api::VersionView view;
    view.version = kVersion;
    view.commit = kCommit;
    view.state_dir = place_.config.state_dir.string();
    view.pid = ::getpid();
    co_return view;
}

// --- instances ---

api::Async<api::InstanceView> DaemonService::add_instance(api::InstanceRequest request) {
    const Call call(calls_);
    const Result<engines::InstanceConfig> config = config_of(request);
    if (!config) co_return config.error();
    const InstanceEntry* older = place_.instances.find(config->name);
    if (older && !request.replace && older->config != *config) {
        co_return fail(ErrorCode::kConflict,
                       "the name is taken; take another one, or replace it by --replace",
                       "instance " + config->name.value);
    }
    if (older && older->link->session() && is_another_host(older->config, *config)) {
        auto read = [](store::Store& store) { return store.load_active_runs(); };
        const Result<std::vector<store::RunRow>> runs = co_await place_.books.read(read);
        if (!runs) co_return runs.error();
        if (const Result<void> idle = check_idle(*runs, config->name); !idle) co_return idle.error();
    }
    failpoint("daemon.instance.before_commit");
    const Result<void> put = co_await place_.instances.put(*config);
    if (!put) co_return put.error();
    failpoint("daemon.instance.after_commit");
    place_.log.info("instance " + config->name.value + " is registered");
    place_.emit(scheduler::InstanceKnown{config->name, config->engine, {}, true});
    co_await place_.instances.wait_settled(config->name, kSettle);
    co_return instance_view(*place_.instances.find(config->name));
}

api::Async<api::InstanceView> DaemonService::probe_instance(InstanceName name) {
    const Call call(calls_);
    if (!place_.instances.find(name)) {
        co_return fail(ErrorCode::kNotFound,
                       "there is no such instance; `nsactl instance list` names those there are",
                       "instance " + name.value);
    }
    if (!place_.instances.session(name)) {
        place_.emit(scheduler::ConnectAsked{name});
        co_await place_.instances.wait_settled(name, kSettle);
    }
    if (place_.instances.session(name)) {
        const Result<void> probed = co_await place_.instances.probe(name);
        if (!probed) co_return probed.error();
    }
    co_return instance_view(*place_.instances.find(name));
}

api::Async<std::vector<api::InstanceView>> DaemonService::list_instances() {
    const Call call(calls_);
    std::vector<api::InstanceView> views;
    for (const auto& [name, entry] : place_.instances.all())
        views.push_back(instance_view(entry));
    co_return views;
}

}  // namespace nsa::daemon
