// Files below a directory that is held open. No function here follows a symbolic link: what runs on this host
// may plant some where the worker reads and writes.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "language/ids.hpp"
#include "language/result.hpp"
#include "system/unique_fd.hpp"

namespace nsa::posix {

enum class Missing { kFail, kCreate };

// Walks a safe relative path (language::is_safe_relative_path; "" is the root itself) component by component.
Result<UniqueFd> open_dir_below(int root, std::string_view path, Missing missing);

// A regular file for reading, opened without ever blocking on a FIFO or device. `info`, when given, is its
// stat.
Result<UniqueFd> open_regular(int dir, const std::string& name, struct stat* info = nullptr);
Result<UniqueFd> open_regular_below(int root, std::string_view path, struct stat* info = nullptr);

Result<UniqueFd> open_dir(const std::string& path);

// Names in a folder below `root`, sorted; empty when it is not there or no folder.
std::vector<std::string> list_dir(int root, std::string_view path);

// The whole file, at most `limit` bytes (kCorrupt when it is longer).
Result<std::string> read_file(int dir, const std::string& name, std::size_t limit);

Result<void> write_all(int fd, std::string_view bytes, std::string_view where);

// tmp, fsync, rename, fsync of the directory: afterwards the file is there whole, even after a power cut. An
// I/O error is tried again, each time with a new tmp: what one fsync failed on is never taken for written.
Result<void> write_file_durably(int dir, const std::string& name, std::string_view bytes, mode_t mode = 0644);

// Removes what write_file_durably of `name` left where its process was killed. Only where nobody writes it.
void remove_unfinished(int dir, const std::string& name);

Result<void> sync_dir(int dir);

// Reads up to `count` bytes at `offset`; fewer only at the end of the file. Appends to `out`.
Result<std::size_t> read_at(int fd, std::uint64_t offset, std::size_t count, std::string& out);

}  // namespace nsa::posix
