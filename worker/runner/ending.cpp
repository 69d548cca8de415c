#include "runner/ending.hpp"

#include <boost/json.hpp>

#include "journal/run_dir.hpp"
#include "language/failpoint.hpp"
#include "language/hash.hpp"
#include "posix/files.hpp"

namespace nsa::runner {
namespace {

void add_detail(Ending& ending, const std::string& text) {
    ending.detail += (ending.detail.empty() ? "" : "; ") + text;
}

void add_left_out(Ending& ending, const Collected& collected) {
    if (collected.left_out_count == 0) return;
    std::string text = std::to_string(collected.left_out_count) + " files do not come home: ";
    for (const auto& file : collected.left_out)
        text += (&file == &collected.left_out.front() ? "" : ", ") + file;
    if (collected.left_out_count > collected.left_out.size()) text += ", ...";
    add_detail(ending, text);
}

void note_unwritten(Ending& ending, const Error& error) {
    if (ending.end != language::RunEnd::kDiskFull) ending.end = failed(error).end;
    add_detail(ending, error.describe());
}

std::string exit_record(const language::RunFinished& finished, std::uint64_t last_seq) {
    const boost::json::object record{{"end", language::to_string(finished.end)},
                                     {"detail", finished.detail},
                                     {"manifest", finished.manifest.value},
                                     {"files", finished.files},
                                     {"bytes", finished.bytes},
                                     {"last_seq", last_seq}};
    return boost::json::serialize(record) + "\n";
}

}  // namespace

Ending failed(const Error& why) {
    const bool full = why.code == ErrorCode::kNoSpace;
    return {full ? language::RunEnd::kDiskFull : language::RunEnd::kWorkerError, why.describe()};
}

Result<void> end_run(int run_dir, Recorder& recorder, Ending ending, const std::vector<StepFiles>& steps,
                     const CollectLimits& limits) {
    recorder.release_reserve();
    if (const auto committed = recorder.commit(); !committed) return committed;

    failpoint("worker.end.before_collect");
    const Collected collected = collect(run_dir, steps, limits);
    add_left_out(ending, collected);
    language::RunFinished finished;
    finished.files = collected.manifest.size();
    finished.bytes = collected.bytes;
    failpoint("worker.manifest.before_write");
    const std::string manifest = boost::json::serialize(language::to_json(collected.manifest)) + "\n";
    if (const auto written = posix::write_file_durably(run_dir, journal::kManifestFile, manifest); written) {
        finished.manifest = sha256_of(manifest);
    } else {
        note_unwritten(ending, written.error());
        finished.files = finished.bytes = 0;
    }
    failpoint("worker.manifest.after_write");
    finished.end = ending.end;
    finished.detail = ending.detail;
    const std::string record = exit_record(finished, recorder.last_seq() + 1);
    if (const auto written = posix::write_file_durably(run_dir, journal::kExitFile, record); !written) {
        note_unwritten(ending, written.error());
        finished.end = ending.end;
        finished.detail = ending.detail;
    }
    failpoint("worker.exit_record.after_write");
    recorder.append(std::move(finished));
    auto committed = recorder.commit();
    failpoint("worker.run_finished.after_commit");
    return committed;
}

}  // namespace nsa::runner
