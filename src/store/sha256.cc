#include "store/sha256.h"

#include <openssl/evp.h>

#include <array>
#include <utility>

namespace puna::store {
namespace {

Error failed() {
    return {ErrorCode::io_error, "OpenSSL does not compute SHA-256 here", "check the system's OpenSSL configuration"};
}

struct FreeContext {
    void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};

}  // namespace

struct Sha256::State {
    std::unique_ptr<EVP_MD_CTX, FreeContext> context;
    bool good = true;
};

Sha256::Sha256(std::unique_ptr<State> state) : state_(std::move(state)) {}
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;
Sha256::~Sha256() = default;

Result<Sha256> Sha256::create() {
    auto state = std::make_unique<State>();
    state->context.reset(EVP_MD_CTX_new());
    if (state->context == nullptr) return Error{ErrorCode::out_of_memory, "not enough memory for a digest", ""};
    if (EVP_DigestInit_ex(state->context.get(), EVP_sha256(), nullptr) != 1) return failed();
    return Sha256(std::move(state));
}

bool Sha256::update(std::span<const std::byte> bytes) noexcept {
    state_->good = state_->good && EVP_DigestUpdate(state_->context.get(), bytes.data(), bytes.size()) == 1;
    return state_->good;
}

Result<std::string> Sha256::finish() {
    std::array<unsigned char, 32> digest = {};
    if (!state_->good || EVP_DigestFinal_ex(state_->context.get(), digest.data(), nullptr) != 1) return failed();
    constexpr char digits[] = "0123456789abcdef";
    std::string text;
    for (const unsigned char byte : digest) {
        text += digits[byte >> 4];
        text += digits[byte & 15];
    }
    return text;
}

}  // namespace puna::store
