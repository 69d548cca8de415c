// The views, asked in plain SQL as docs/storage.md shows.
#include <SQLiteCpp/SQLiteCpp.h>

#include <cmath>

#include "fixture.hpp"

namespace nsa::store {
namespace {

using namespace language;

class ViewsTest : public StoreTest {
  protected:
    // A run on `gpu` whose decode case measured `samples` at S=512.
    void decode_run(Store& store, const std::string& id, const std::string& gpu, std::vector<double> samples,
                    std::int64_t finished_ms) {
        launch(store, id);
        const CaseKey decode{"decode[S=512]"};
        CaseRecords chunk{decode, {}, {}};
        for (std::size_t i = 0; i < samples.size(); ++i) {
            chunk.records.push_back(
                Measurement{"ms_total", samples[i], "ms", {{"S", "512"}}, static_cast<int>(i)});
        }
        must(store.append_events(RunId{id}, Attempt{1},
                                 line(1, HostProbed{{{"gpu.0.name", gpu}}}) + line(2, chunk)));
        Publication published = a_publication(1);
        published.at_ms = finished_ms;
        must(store.publish_result(RunId{id}, published));
    }
};

TEST_F(ViewsTest, Decode_medians_by_gpu_come_newest_first) {
    Store store = open();
    decode_run(store, "r-1", "NVIDIA H200", {3, 1, 2}, 1'000);
    decode_run(store, "r-2", "NVIDIA H200", {4, 8, 6, std::nan("")}, 2'000);
    decode_run(store, "r-3", "NVIDIA A100", {9}, 3'000);
    SQLite::Database plain(file().string());
    SQLite::Statement rows(plain,
                           "SELECT run, s, median, minimum, maximum, samples FROM decode_median "
                           "WHERE gpu = 'NVIDIA H200' AND metric = 'ms_total' LIMIT 10");
    ASSERT_TRUE(rows.executeStep());
    EXPECT_EQ(rows.getColumn(0).getString(), "r-2");
    EXPECT_EQ(rows.getColumn(1).getInt(), 512);
    EXPECT_EQ(rows.getColumn(2).getDouble(), 6);
    EXPECT_EQ(rows.getColumn(5).getInt(), 3);
    ASSERT_TRUE(rows.executeStep());
    EXPECT_EQ(rows.getColumn(0).getString(), "r-1");
    EXPECT_EQ(rows.getColumn(2).getDouble(), 2);
    EXPECT_EQ(rows.getColumn(3).getDouble(), 1);
    EXPECT_EQ(rows.getColumn(4).getDouble(), 3);
    EXPECT_FALSE(rows.executeStep());
}

TEST_F(ViewsTest, An_even_number_of_samples_has_the_mean_of_the_middle_two) {
    Store store = open();
    decode_run(store, "r-1", "NVIDIA H200", {1, 10, 2, 4}, 1'000);
    SQLite::Database plain(file().string());
    EXPECT_EQ(plain.execAndGet("SELECT median FROM decode_median").getDouble(), 3);
    EXPECT_EQ(plain.execAndGet("SELECT nan_samples FROM row_median WHERE metric = 'ms_total'").getInt(), 0);
}

TEST_F(ViewsTest, Runs_and_checks_have_an_overview) {
    Store store = open();
    decode_run(store, "r-1", "NVIDIA H200", {1}, 86'400'000);
    SQLite::Database plain(file().string());
    EXPECT_EQ(
        plain.execAndGet("SELECT status || ' ' || gpu || ' ' || finished_utc FROM run_overview").getString(),
        "FAIL NVIDIA H200 1970-01-02 00:00:00");
    EXPECT_EQ(plain.execAndGet("SELECT \"case\" || ': ' || detail FROM check_overview").getString(),
              "parity: mae 0.375 > 0.0002");
    EXPECT_EQ(plain.execAndGet("SELECT count(*) FROM sample WHERE run = 'r-1'").getInt(), 1);
    EXPECT_EQ(plain.execAndGet("SELECT count(*) FROM parity_median").getInt(), 0);
}

}  // namespace
}  // namespace nsa::store
