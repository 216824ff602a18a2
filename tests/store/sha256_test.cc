#include "store/sha256.h"

#include <gtest/gtest.h>

#include <string_view>
#include <vector>

namespace puna::store {
namespace {

std::string digest(std::string_view text, std::size_t piece) {
    auto sha = Sha256::create();
    EXPECT_TRUE(sha.ok());
    for (; !text.empty(); text.remove_prefix(std::min(piece, text.size())))
        sha->update(std::as_bytes(std::span(text.substr(0, piece))));
    auto result = sha->finish();
    return result.ok() ? *result : result.error().message;
}

// The examples that NIST publishes for SHA-256.
TEST(Sha256, ExamplesOfTheStandard) {
    EXPECT_EQ(digest("", 1), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    EXPECT_EQ(digest("abc", 3), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    const std::string_view two_blocks = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
    for (const std::size_t piece : {1U, 7U, 64U}) {
        EXPECT_EQ(digest(two_blocks, piece), "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    }
    EXPECT_EQ(digest(std::string(1'000'000, 'a'), 65'536),
              "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

}  // namespace
}  // namespace puna::store
