// Commands that are shown to be repeated. Pure.
#pragma once

#include <string>
#include <string_view>

namespace nsa::language {

// One argument as one would type it: quoted for a POSIX shell where needed.
std::string shell_word(std::string_view argument);

}  // namespace nsa::language
