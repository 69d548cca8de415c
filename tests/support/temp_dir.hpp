// A folder of its own for one test, removed with everything in it.
#pragma once

#include <filesystem>
#include <string_view>

namespace nsa::test {

class TempDir {
  public:
    TempDir();  // throws when there is none to be had
    ~TempDir();
    TempDir(const TempDir&) = delete;
    TempDir& operator=(const TempDir&) = delete;

    const std::filesystem::path& path() const { return path_; }
    std::filesystem::path operator/(std::string_view name) const { return path_ / name; }

  private:
    std::filesystem::path path_;
};

void write_file(const std::filesystem::path& path, std::string_view bytes);  // makes its folders; throws
std::string read_file(const std::filesystem::path& path);                    // throws

}  // namespace nsa::test
