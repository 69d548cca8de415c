// Paths on a host that may stand unquoted in a command there and in a list separated by colons.
#pragma once

#include <string_view>

namespace nsa::engines {

enum class PathRoot { kAbsolute, kAbsoluteOrHome };  // "/..."; or also "~/..."

// Rooted as asked, of [A-Za-z0-9._+/-], without "..", at most 4000 bytes: no character that a shell looks at.
bool is_plain_path(std::string_view path, PathRoot root);

// Absolute folders as above, separated by single colons, as in PATH. Empty: none, which is well.
bool is_plain_path_list(std::string_view list);

}  // namespace nsa::engines
