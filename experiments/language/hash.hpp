// SHA-256 by OpenSSL's libcrypto.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string_view>

#include "language/ids.hpp"

namespace nsa {

class Sha256Hasher {
  public:
    Sha256Hasher();
    ~Sha256Hasher();
    Sha256Hasher(Sha256Hasher&&) noexcept;
    Sha256Hasher& operator=(Sha256Hasher&&) noexcept;

    void update(std::string_view bytes);
    Sha256 finish();  // once

  private:
    struct Context;
    std::unique_ptr<Context> context_;
};

Sha256 sha256_of(std::string_view bytes);

}  // namespace nsa
