// Brings the files of an ended attempt home. All or nothing: the set is taken when every hash of the manifest
// holds, and published by another act.
#include <boost/json/parse.hpp>
#include <set>

#include "daemon/acts.hpp"
#include "daemon/attempt_files.hpp"
#include "daemon/file_intake.hpp"
#include "daemon/tools.hpp"
#include "language/failpoint.hpp"
#include "language/hash.hpp"

namespace nsa::daemon {

namespace asio = boost::asio;
using language::ManifestEntry;

namespace {

constexpr std::chrono::seconds kSilence{60};  // longest pause in a transfer
constexpr std::size_t kBatch = 20'000;        // paths in one request: its frame stays far below the limit
constexpr std::size_t kMostFiles = 200'000;
constexpr std::uint64_t kMostBytes = std::uint64_t{64} << 30;
constexpr const char* kManifest = "manifest.json";

Error about(ErrorCode code, std::string text, const scheduler::Ticket& ticket) {
    return fail(code, std::move(text), "artifacts of run " + ticket.run.value);
}

// One act of collecting. However it ends, what is on its way to the disk is not waited for on the loop; the
// next act's files are touched behind that.
struct Pull {
    ~Pull() { disk.end(std::move(files)); }

    std::shared_ptr<HostSession> session;
    std::shared_ptr<ActiveRun> active;
    scheduler::Ticket ticket;
    BlockingThread& disk;
    std::unique_ptr<AttemptFiles> files;
};

class TextSink : public engines::FetchSink {
  public:
    std::string text;
    engines::Async<> on_pieces(std::span<const protocol::FilePiece> pieces) override {
        for (const protocol::FilePiece& piece : pieces) {
            if (piece.path != kManifest || piece.offset != text.size()) {
                co_return fail(ErrorCode::kProtocol, "the worker sent a piece that was not asked for",
                               std::string(piece.path));
            }
            text += piece.bytes;
        }
        co_return Result<void>{};
    }
};

class FileSink : public engines::FetchSink {
  public:
    FileSink(Workplace& place, const Pull& pull, FileIntake& intake)
        : place_(place), pull_(pull), intake_(intake) {}
    engines::Async<> on_pieces(std::span<const protocol::FilePiece> pieces) override {
        if (pull_.active->pull_given_up >= pull_.ticket.attempt)
            co_return about(ErrorCode::kTimeout, "the pull was given up", pull_.ticket);
        if (!place_.books.has_room()) co_return no_room(place_);
        auto take = [&] { return intake_.take(pieces); };
        co_return co_await place_.disk.call(take);
    }

  private:
    Workplace& place_;
    const Pull& pull_;
    FileIntake& intake_;
};

// A set of names that a hostile worker cannot turn against this host.
Result<void> check_manifest(const language::Manifest& manifest, const scheduler::Ticket& ticket) {
    if (manifest.size() > kMostFiles) {
        return about(ErrorCode::kProtocol,
                     "the manifest lists " + std::to_string(manifest.size()) + " files; at most " +
                         std::to_string(kMostFiles) + " are taken",
                     ticket);
    }
    std::set<std::string_view> seen;
    std::uint64_t bytes = 0;
    for (const ManifestEntry& entry : manifest) {
        if (!language::is_safe_relative_path(entry.path))
            return about(ErrorCode::kProtocol, "the manifest names the unsafe path " + entry.path, ticket);
        if (entry.path == kManifest) return about(ErrorCode::kProtocol, "the manifest lists itself", ticket);
        if (!seen.insert(entry.path).second)
            return about(ErrorCode::kProtocol, "the manifest names " + entry.path + " twice", ticket);
        if (entry.size > kMostBytes - bytes)
            return about(ErrorCode::kProtocol, "the manifest lists more than 64 GiB", ticket);
        bytes += entry.size;
    }
    return {};
}

struct FetchedManifest {
    std::string text;
    language::Manifest entries;
};

asio::awaitable<Result<FetchedManifest>> fetch_manifest(const Pull& pull, Sha256 expected) {
    const scheduler::Ticket& ticket = pull.ticket;
    protocol::Fetch request;
    request.run = {ticket.run, ticket.attempt};
    request.items.push_back({kManifest, 0});
    TextSink sink;
    const Result<protocol::FetchEnd> end = co_await pull.session->client.fetch(request, sink, kSilence);
    if (!end) co_return end.error();
    if (!end->missing.empty()) co_return about(ErrorCode::kCorrupt, "the host has no manifest.json", ticket);
    if (sha256_of(sink.text) != expected) {
        co_return about(ErrorCode::kCorrupt,
                        "manifest.json does not have the hash that the journal announced", ticket);
    }
    boost::system::error_code ec;
    const boost::json::value value = boost::json::parse(sink.text, ec);
    if (ec) co_return about(ErrorCode::kCorrupt, "manifest.json is no JSON: " + ec.message(), ticket);
    Result<language::Manifest> manifest = language::manifest_from_json(value);
    if (!manifest) co_return manifest.error();
    const Result<void> sane = check_manifest(*manifest, ticket);
    if (!sane) co_return sane.error();
    failpoint("daemon.collect.manifest_taken");
    co_return FetchedManifest{std::move(sink.text), std::move(*manifest)};
}

asio::awaitable<Result<void>> fetch_files(Workplace& place, Pull& pull, const language::Manifest& wanted) {
    for (std::size_t begin = 0; begin < wanted.size(); begin += kBatch) {
        const std::size_t end = std::min(begin + kBatch, wanted.size());
        const std::span<const ManifestEntry> batch(wanted.data() + begin, end - begin);
        FileIntake intake(*pull.files, batch);
        FileSink sink(place, pull, intake);
        protocol::Fetch request;
        request.run = {pull.ticket.run, pull.ticket.attempt};
        for (const ManifestEntry& entry : batch)
            request.items.push_back({entry.path, 0});
        const Result<protocol::FetchEnd> fetched =
            co_await pull.session->client.fetch(request, sink, kSilence);
        if (!fetched) co_return fetched.error();
        auto finish = [&] { return intake.finish(); };
        const Result<void> whole = co_await place.disk.call(finish);
        if (!whole) co_return whole.error();
    }
    co_return Result<void>{};
}

// The last file to come: where it lies, all that it lists lies beside it.
Result<void> keep_manifest(AttemptFiles& files, const std::string& text) {
    const Result<UniqueFd> file = files.create(kManifest);
    if (!file) return file.error();
    return files.write_bytes(*file, kManifest, 0, text);
}

asio::awaitable<Result<std::vector<store::ArtifactRow>>> collect_whole(Workplace& place, Pull& pull) {
    auto read = [&](store::Store& store) { return store.find_run(pull.ticket.run); };
    const Result<store::RunRow> row = co_await place.books.read(read);
    if (!row) co_return row.error();
    if (!row->attempt || !row->attempt->finished)
        co_return about(ErrorCode::kCorrupt, "the run has no run_finished event", pull.ticket);
    const Sha256 expected = row->attempt->finished->manifest;
    const Result<FetchedManifest> manifest = co_await fetch_manifest(pull, expected);
    if (!manifest) co_return manifest.error();
    // What streamed home while it ran, or came in an earlier try, is not fetched again.
    auto compare = [&]() -> Result<language::Manifest> { return missing_of(*pull.files, manifest->entries); };
    const Result<language::Manifest> missing = co_await place.disk.call(compare);
    if (!missing) co_return missing.error();
    const Result<void> fetched = co_await fetch_files(place, pull, *missing);
    if (!fetched) co_return fetched.error();
    auto keep = [&]() -> Result<void> { return keep_manifest(*pull.files, manifest->text); };
    const Result<void> kept = co_await place.disk.call(keep);
    if (!kept) co_return kept.error();
    std::vector<store::ArtifactRow> rows;
    for (const ManifestEntry& entry : manifest->entries)
        rows.push_back({entry.path, entry.size, entry.sha256});
    co_return rows;
}

// Logs and results that a run may have left: each with the size that is at home already. They only ever grow.
language::Manifest hoped_for(const language::Plan& plan, const std::map<std::string, std::uint64_t>& here) {
    std::vector<std::string> paths;
    const int setup_commands = static_cast<int>(plan.setup.size()) + kMostToolCommands;
    for (int command = 0; command < setup_commands; ++command) {
        for (const char* name : {"stdout", "stderr"})
            paths.push_back("setup/" + std::to_string(command) + "/" + name);
    }
    for (const language::PlannedCase& planned : plan.cases) {
        for (const char* name : {"stdout", "stderr", "results.jsonl"})
            paths.push_back("steps/" + language::case_folder(planned.key) + "/" + name);
    }
    language::Manifest hoped;
    for (std::string& path : paths) {
        const auto found = here.find(path);
        const std::uint64_t size = found == here.end() ? 0 : found->second;
        hoped.push_back({std::move(path), size, {}});
    }
    return hoped;
}

// The worker died: its logs and results as far as they go, with the hashes that they have here.
asio::awaitable<Result<std::vector<store::ArtifactRow>>> collect_remains(Workplace& place, Pull& pull) {
    auto look = [&]() -> Result<language::Manifest> {
        return hoped_for(pull.active->plan, pull.files->sizes());
    };
    const Result<language::Manifest> hoped = co_await place.disk.call(look);
    if (!hoped) co_return hoped.error();
    FileIntake intake(*pull.files, *hoped, FileIntake::Verify::kNothing);
    FileSink sink(place, pull, intake);
    protocol::Fetch request;
    request.run = {pull.ticket.run, pull.ticket.attempt};
    for (const ManifestEntry& entry : *hoped)
        request.items.push_back({entry.path, entry.size});
    const Result<protocol::FetchEnd> fetched = co_await pull.session->client.fetch(request, sink, kSilence);
    if (!fetched) co_return fetched.error();
    auto describe = [&] { return pull.files->describe_all(); };
    co_return co_await place.disk.call(describe);
}

}  // namespace

ActResult collect(Workplace& place, scheduler::Collect act) {
    const std::shared_ptr<HostSession> session = place.instances.session(act.instance);
    if (!session) co_return link_is_down(act.instance);
    const Result<std::shared_ptr<ActiveRun>> active = co_await place.runs.find(act.ticket.run);
    if (!active) co_return active.error();
    failpoint("daemon.collect.begin");
    const auto dir = attempt_dir(place.config.artifacts_dir, act.ticket.run, act.ticket.attempt);
    Pull pull{session, *active, act.ticket, place.disk,
              std::make_unique<AttemptFiles>(place.write_back, dir)};
    Result<std::vector<store::ArtifactRow>> rows = std::vector<store::ArtifactRow>{};
    if (act.whole) {
        rows = co_await collect_whole(place, pull);
    } else {
        rows = co_await collect_remains(place, pull);
    }
    if (!rows) co_return rows.error();
    failpoint("daemon.collect.before_sync");
    auto sync = [&] { return pull.files->sync(); };
    Result<void> durable;
    if (!rows->empty()) durable = co_await place.disk.call(sync);
    if (!durable) co_return durable.error();
    failpoint("daemon.collect.synced");
    (*active)->artifacts = CollectedArtifacts{act.ticket.attempt, std::move(*rows), act.whole};
    co_return scheduler::Event(scheduler::Collected{act.ticket});
}

}  // namespace nsa::daemon
