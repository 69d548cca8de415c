// Copies of the database, made beside a running daemon, and what is said when one is needed.
#pragma once

#include <filesystem>
#include <stop_token>
#include <string>

#include "language/result.hpp"

namespace nsa::store {

// Where the daemon keeps its last good copy: nsa.db.backup beside nsa.db.
std::filesystem::path backup_of(const std::filesystem::path& database);

// A consistent, checked and durable copy at `copy`, which must not exist yet. Takes one read transaction on a
// connection of its own: writers go on. kConflict, kNotFound, kNoSpace (also when it would leave the disk
// nearly full), kTimeout when another program keeps the database locked, kCorrupt when the copy does not pass
// its check: the database is damaged then. kConflict soon after `stop` was requested; nothing is left of it.
Result<void> copy_database(const std::filesystem::path& database, const std::filesystem::path& copy,
                           std::stop_token stop = {});

// The same in place of an earlier copy, which stays until the new one is whole.
Result<void> replace_copy(const std::filesystem::path& database, const std::filesystem::path& copy,
                          std::stop_token stop = {});

// The same in place of the last backup.
Result<void> replace_backup(const std::filesystem::path& database, std::stop_token stop = {});

// kCorrupt: what was found, and which backup there is. The same words wherever damage is met.
Error damaged(const std::filesystem::path& database, const std::string& found);

}  // namespace nsa::store
