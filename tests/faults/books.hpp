// What the database of a trial says, read from a copy by plain SQL: not by the product's own store, which is
// under test. The copy keeps the trial untouched: opening the original would replay its write-ahead log.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace nsa::faults {

struct BookFile {
    std::uint64_t size = 0;
    std::string sha256;
    bool operator==(const BookFile&) const = default;
};

struct BookReport {
    std::string path, sha256;
    bool operator==(const BookReport&) const = default;
};

struct BookRun {
    std::string run, key, state, reason, status, artifact_dir;
    int attempt = 0;
    bool holds_lease = false, cancel_requested = false;
    int publications = 0;  // in its history
    int cases = 0, verdicts = 0;
    std::map<std::string, BookFile> artifacts;
    std::vector<BookReport> reports;  // .md, .html, .json; empty: not recorded
    // Lines of the journal by attempt and sequence number; empty where the store keeps records as rows.
    std::map<int, std::map<std::uint64_t, std::string>> journal;
    std::vector<int> attempts;
};

struct Books {
    std::vector<std::string> damage;  // of integrity_check and foreign_key_check; empty: none
    std::map<std::string, BookRun> runs;
    std::vector<std::string> leases;  // instance of every lease held
};

// `state`: the folder with nsa.db. Nothing of it is changed. Throws when the copy cannot be opened at all.
// scratch: an existing folder for the copy.
Books read_books(const std::filesystem::path& state, const std::filesystem::path& scratch);

}  // namespace nsa::faults
