// The store of a daemon that had accepted very many runs, none of which could start yet.
#pragma once

#include <filesystem>

namespace nsa::test {

// `runs` queued runs of one small case each, all waiting for an ssh instance that nobody answers on. Throws.
void fill_store(const std::filesystem::path& file, int runs);

}  // namespace nsa::test
