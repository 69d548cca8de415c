// How fast the store is with synchronous=FULL, one JSON line a measurement: median and range of the samples.
// Usage: store_bench [FOLDER]: where the database goes; the disk decides the numbers. Default: a temporary
// one.
#include <stdlib.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <stdexcept>

#include "store/store.hpp"

namespace nsa::store {
namespace {

using namespace language;

template <class T>
T must(Result<T> result) {
    if (!result) throw std::runtime_error(result.error().describe());
    if constexpr (!std::is_void_v<T>) return std::move(*result);
}

// Times `body` once for each sample; `body` gets the number of the sample.
void measure(const char* what, int samples, const std::function<void(int)>& body) {
    std::vector<double> ms;
    for (int i = 0; i < samples; ++i) {
        const auto start = std::chrono::steady_clock::now();
        body(i);
        ms.push_back(
            std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count());
    }
    std::sort(ms.begin(), ms.end());
    std::printf("{\"bench\":\"%s\",\"ms_median\":%.3f,\"ms_min\":%.3f,\"ms_max\":%.3f,\"samples\":%d}\n",
                what, ms[ms.size() / 2], ms.front(), ms.back(), samples);
}

NewRun run_of(const std::string& id) {
    NewRun run;
    run.run = RunId{id};
    run.name = run.subject = "bench";
    run.spec_yaml = std::string(2'000, 'y');
    run.plan_json = std::string(20'000, 'p');
    for (int i = 0; i < 8; ++i)
        run.cases.push_back({CaseKey{"case" + std::to_string(i)}, "case", "decode_bench", "Case"});
    return run;
}

std::string chunk(std::uint64_t seq) {
    CaseRecords records{CaseKey{"case0"}, {}, {}};
    for (int i = 0; i < 256; ++i)
        records.records.push_back(Measurement{"ms_total", 5.0 + i, "ms", {{"S", "512"}}, i});
    return to_line({seq, 1, std::move(records)});
}

Publication publication_of(std::size_t artifacts) {
    Publication made;
    made.attempt = 1;
    made.artifact_dir = "/artifacts/run/1";
    for (std::size_t i = 0; i < artifacts; ++i)
        made.artifacts.push_back({"steps/case0/file" + std::to_string(i), i, Sha256{std::string(64, 'a')}});
    for (int i = 0; i < 8; ++i)
        made.cases.push_back({CaseKey{"case" + std::to_string(i)}, {Verdict::kPass, "", false, false, {}}});
    return made;
}

void bench(const std::filesystem::path& file) {
    Store store = must(Store::open(file));
    measure("submit", 200, [&](int i) { must(store.submit(run_of("r-submit" + std::to_string(i)))); });

    must(store.submit(run_of("r-append")));
    must(store.begin_attempt(RunId{"r-append"}, Attempt{1}, InstanceName{"local"}, 1));
    measure("append 256 records", 200, [&](int i) {
        must(store.append_events(RunId{"r-append"}, Attempt{1}, chunk(static_cast<std::uint64_t>(i) + 1)));
    });

    const Publication publication = publication_of(10'000);
    for (int i = 0; i < 5; ++i) {
        const RunId run{"r-publish" + std::to_string(i)};
        must(store.submit(run_of(run.value)));
        must(store.begin_attempt(run, Attempt{1}, InstanceName{"local"}, 1));
    }
    measure("publish 10000 artifacts", 5,
            [&](int i) { must(store.publish_result(RunId{"r-publish" + std::to_string(i)}, publication)); });

    for (int i = 200; i < 10'000; ++i)
        must(store.submit(run_of("r-submit" + std::to_string(i))));
    measure("load 10001 active runs", 5, [&](int) {
        if (must(store.load_active_runs()).size() != 10'001) throw std::runtime_error("runs are missing");
    });
    measure("list 100 runs", 20, [&](int) { must(store.list_runs(100)); });
}

}  // namespace
}  // namespace nsa::store

int main(int argc, char** argv) {
    const std::filesystem::path parent = argc > 1 ? argv[1] : std::filesystem::temp_directory_path();
    std::string folder = (parent / "nsa-store-bench-XXXXXX").string();
    if (::mkdtemp(folder.data()) == nullptr) {
        std::perror(folder.c_str());
        return 1;
    }
    int code = 0;
    try {
        nsa::store::bench(std::filesystem::path(folder) / "nsa.db");
    } catch (const std::exception& failure) {
        std::fprintf(stderr, "store_bench: %s\n", failure.what());
        code = 1;
    }
    std::filesystem::remove_all(folder);
    return code;
}
