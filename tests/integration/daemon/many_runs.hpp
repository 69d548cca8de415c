// The store of a daemon that had accepted very many runs, none of which could start yet.
#pragma once

#include <filesystem>
#include <string>

namespace nsa::test {

// `runs` queued runs of the spec, all waiting for the ssh instance "box", which nobody answers on. Throws.
void fill_store(const std::filesystem::path& file, int runs, const std::string& spec_yaml);

}  // namespace nsa::test
