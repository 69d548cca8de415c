#include "daemon/upkeep.hpp"

#include "daemon/clock.hpp"
#include "daemon/task_group.hpp"
#include "store/backup.hpp"

namespace nsa::daemon {

namespace asio = boost::asio;

namespace {

constexpr std::chrono::seconds kLook{2};

asio::awaitable<void> regain_room(Workplace& place) {
    if (place.books.has_room()) co_return;
    const bool regained = co_await place.books.regain_room();
    if (regained) place.log.info("the disk has space again: new runs are taken");
}

asio::awaitable<Result<std::int64_t>> changes_of(Workplace& place) {
    auto count = [](store::Store& store) { return Result<std::int64_t>(store.changes()); };
    return place.books.read(count);
}

}  // namespace

asio::awaitable<void> keep_store(Workplace& place, BlockingThread& copies) {
    const std::filesystem::path database = place.config.state_dir / "nsa.db";
    if (!place.books.has_room()) place.log.warn(no_room(place).describe() + "; new runs are refused");
    std::int64_t copied = 0;  // changes that the last backup holds; of a daemon before this one: none
    scheduler::Instant due = monotonic_now() + place.config.backup_every;
    for (;;) {
        co_await pause_for(std::min<std::chrono::milliseconds>(kLook, place.config.backup_every));
        co_await regain_room(place);
        if (monotonic_now() < due || !place.books.has_room()) continue;
        due = monotonic_now() + place.config.backup_every;
        const Result<std::int64_t> now = co_await changes_of(place);
        if (!now || *now == copied) continue;
        auto copy = [&database](std::stop_token stop) { return store::replace_backup(database, stop); };
        const Result<void> made = co_await copies.call(copy);
        if (made) {
            copied = *now;
        } else {
            place.log.error("no backup of the database: " + made.error().describe());
        }
    }
}

}  // namespace nsa::daemon
