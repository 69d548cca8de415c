// A named place between two steps that must survive a crash: every state edge has one.
//
// The program decides by what it links what a failpoint is. Every program gets nsa_failpoints_off with
// nsa_language: nothing happens. A laboratory program links nsa_failpoints_lab in front of it, whose object
// takes its place. So the code is compiled once, and a released program holds no machinery at all.
#pragma once

#include <string_view>

namespace nsa {

// `name`: "<program>.<edge>", each at one place in the code only (a test holds that). Any thread.
void failpoint(std::string_view name) noexcept;

}  // namespace nsa
