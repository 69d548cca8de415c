// A store in a folder of its own, and short ways to say runs and journals.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <string>

#include "language/event.hpp"
#include "store/store.hpp"

namespace nsa::store {

class TempDir {
  public:
    TempDir() {
        std::string pattern = (std::filesystem::temp_directory_path() / "nsa-store-XXXXXX").string();
        path_ = ::mkdtemp(pattern.data());
    }
    ~TempDir() { std::filesystem::remove_all(path_); }
    TempDir(const TempDir&) = delete;
    TempDir& operator=(const TempDir&) = delete;
    const std::filesystem::path& path() const { return path_; }

  private:
    std::filesystem::path path_;
};

// The value of a result that the test relies on.
template <class T>
T must(Result<T> result) {
    if (!result) throw std::runtime_error(result.error().describe());
    if constexpr (!std::is_void_v<T>) return std::move(*result);
}

inline NewRun a_run(const std::string& id, const std::string& key = "") {
    NewRun run;
    run.run = RunId{id};
    run.name = "fa2_routing";
    run.subject = "FA2 Routing";
    run.spec_file = "fa2.yaml";
    run.spec_yaml = "version: 1\nname: fa2_routing\n";
    run.plan_json = R"({"name":"fa2_routing"})";
    run.spec_hash = Sha256{std::string(64, 'a')};
    run.thresholds_hash = Sha256{std::string(64, 'b')};
    run.idempotency_key = key;
    run.created_ms = 1'000;
    run.cases = {{CaseKey{"parity"}, "parity", "parity", "Sliding window"},
                 {CaseKey{"decode[S=512]"}, "decode", "decode_bench", "Decode"}};
    return run;
}

inline std::string line(std::uint64_t seq, language::EventBody body) {
    return language::to_line({seq, static_cast<std::int64_t>(5'000 + seq), std::move(body)});
}

// A journal in which `parity` measures twice and ends, and `decode` is blocked by it.
inline std::string a_journal() {
    using namespace language;
    const CaseKey parity{"parity"}, decode{"decode[S=512]"};
    const std::vector<Record> records = {Measurement{"mae", 0.5, "1", {{"branch", "sliding"}}, 0},
                                         Fact{"route_taken", "sdpa", {}},
                                         Measurement{"mae", 0.25, "1", {{"branch", "sliding"}}, 1}};
    return line(1, RunStarted{77, 1234, "boot-1", "host-1", "0.1.0"}) +
           line(2, HostProbed{{{"gpu.0.name", "NVIDIA H200"}, {"kernel", "6.1"}}}) +
           line(3, SetupFinished{0, {EndKind::kExited, 0, 0, false, ""}, 1.5, "build nsa-core"}) +
           line(4, CaseStarted{parity, 78, {"/opt/nsa-core", "parity"}}) +
           line(5, CaseRecords{parity, records, {"line 4: not JSON"}}) +
           line(6, CaseFinished{parity, {EndKind::kExited, 1, 0, false, ""}, 2.5, 10, 20, 4096}) +
           line(7, CaseBlocked{decode, parity}) +
           line(8, RunFinished{RunEnd::kCompleted, "", Sha256{std::string(64, 'c')}, 3, 300});
}

// Verdicts for both cases of a_run.
inline Publication a_publication(int attempt) {
    using namespace language;
    CheckResult check{
        "mae <= 0.0002 1",   {{"branch", "sliding"}}, Level::kGate, Verdict::kFail, 0.375, 0.0002, "1", 2, 2,
        "mae 0.375 > 0.0002"};
    Publication made;
    made.attempt = attempt;
    made.status = Status::kFail;
    made.artifact_dir = "/artifacts/r-1/1";
    made.artifacts = {{"steps/parity/stdout", 10, Sha256{std::string(64, 'd')}}};
    made.cases = {{CaseKey{"parity"}, {Verdict::kFail, "mae 0.375 > 0.0002", false, false, {check}}},
                  {CaseKey{"decode[S=512]"}, {Verdict::kBlocked, "needs parity", false, false, {}}}};
    made.at_ms = 9'000;
    return made;
}

class StoreTest : public testing::Test {
  protected:
    std::filesystem::path file() const { return dir_.path() / "nsa.db"; }
    Store open() const { return must(Store::open(file())); }
    // A run that was launched as attempt 1.
    static void launch(Store& store, const std::string& id) {
        must(store.submit(a_run(id)));
        must(store.begin_attempt(RunId{id}, Attempt{1}, InstanceName{"h200"}, 2'000));
        must(store.record_launch(RunId{id}, Attempt{1}, {77, 1234, "boot-1", 2'100}));
    }

    TempDir dir_;
};

}  // namespace nsa::store
