#include "language/hash.hpp"

#include <openssl/evp.h>

#include <array>
#include <stdexcept>

namespace nsa {

struct Sha256Hasher::Context {
    std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> handle{EVP_MD_CTX_new(), EVP_MD_CTX_free};
};

namespace {

void require(bool ok) {
    if (!ok) throw std::runtime_error("SHA-256 failed in libcrypto");
}

std::string to_hex(const unsigned char* bytes, std::size_t count) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    std::string text;
    text.reserve(2 * count);
    for (std::size_t i = 0; i < count; ++i) {
        text += kDigits[bytes[i] >> 4U];
        text += kDigits[bytes[i] & 15U];
    }
    return text;
}

}  // namespace

Sha256Hasher::Sha256Hasher() : context_(std::make_unique<Context>()) {
    require(context_->handle != nullptr &&
            EVP_DigestInit_ex(context_->handle.get(), EVP_sha256(), nullptr) == 1);
}
Sha256Hasher::~Sha256Hasher() = default;
Sha256Hasher::Sha256Hasher(Sha256Hasher&&) noexcept = default;
Sha256Hasher& Sha256Hasher::operator=(Sha256Hasher&&) noexcept = default;

void Sha256Hasher::update(std::string_view bytes) {
    require(EVP_DigestUpdate(context_->handle.get(), bytes.data(), bytes.size()) == 1);
}

Sha256 Sha256Hasher::finish() {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned int size = 0;
    require(EVP_DigestFinal_ex(context_->handle.get(), digest.data(), &size) == 1);
    return Sha256{to_hex(digest.data(), size)};
}

Sha256 sha256_of(std::string_view bytes) {
    Sha256Hasher hasher;
    hasher.update(bytes);
    return hasher.finish();
}

}  // namespace nsa
