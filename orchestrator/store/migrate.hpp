// Brings a database to this program's schema, or refuses it. Private to this box.
#pragma once

#include <span>
#include <string_view>

#include "language/result.hpp"
#include "store/database.hpp"

namespace nsa::store {

struct Migration {
    const char *name, *sha256, *sql;  // "0001_schema"; version = place in the list, from 1
};

// Compiled in from migrations/*.sql; a released one never changes.
std::span<const Migration> migrations();

// Says whether the file is ours, whole and not newer than this program. Changes nothing.
Result<void> check_database(Database& database, const std::string& path);

// Applies what is missing, all in one transaction.
Result<void> migrate(Database& database, const std::string& path);

}  // namespace nsa::store
