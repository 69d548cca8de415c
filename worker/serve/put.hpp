// One file on its way from the client to home/path: temporary file, hash, fsync, rename.
#pragma once

#include <string>
#include <string_view>

#include "language/hash.hpp"
#include "protocol/messages.hpp"
#include "serve/home.hpp"
#include "system/unique_fd.hpp"

namespace nsa::serve {

// Whether home/path is a regular file with that size, hash and executable bit. Reads the whole file.
// kRefused: the path leads through a link, or into runs/, which belongs to the supervisors.
Result<bool> is_there(const Home& home, const protocol::Put& put);

class Upload {
  public:
    static Result<Upload> begin(const Home& home, protocol::Put put, std::uint64_t number);
    Upload(Upload&&) noexcept = default;
    Upload& operator=(Upload&&) = delete;
    ~Upload();  // an unfinished file goes away

    // kProtocol: more bytes than announced.
    Result<void> write(std::string_view bytes);
    bool is_complete() const { return received_ == put_.size; }
    // kCorrupt: the hash does not hold; nothing is left at home/path that was not there before.
    Result<void> finish();

  private:
    explicit Upload(const Home& home) : home_{&home} {}

    const Home* home_;
    protocol::Put put_;
    std::string tmp_name_;
    UniqueFd file_;
    Sha256Hasher hasher_;
    std::uint64_t received_ = 0;
};

}  // namespace nsa::serve
