#include "engine/session/llama_rs_snapshot.h"

#include <gmock/gmock.h>

#include <cstring>

#include "base/temporary_folder.h"
#include "support/llama_rs_snapshot.h"

namespace puna::engine {
namespace {

using support::LlamaRsSnapshot;
using support::zstd_compressed;
using testing::HasSubstr;

const models::Dimensions model = {.layers = 2,
                                  .embedding = 16,
                                  .feed_forward = 32,
                                  .heads = 4,
                                  .kv_heads = 4,
                                  .head_dim = 4,
                                  .vocabulary = 50,
                                  .context = 128};
constexpr std::uint64_t position = 2 * 16;  // values of one position in all layers

LlamaRsSnapshot good() {
    return {.past = 3,
            .key_type = 0,
            .value_type = 1,
            .tokens = {1, 7, 49},
            .logits = 50,
            .key_bytes = 64 * position * 2,
            .value_bytes = 64 * position * 4};
}

class LlamaRs : public testing::Test {
  protected:
    Result<std::vector<TokenId>> read(const std::string& bytes) {
        return read_llama_rs_snapshot(folder_.write("snapshot", bytes), model);
    }
    Error error_of(const LlamaRsSnapshot& snapshot) {
        const auto tokens = read(zstd_compressed(snapshot.plain()));
        EXPECT_FALSE(tokens.ok());
        return tokens.ok() ? Error{} : tokens.error();
    }
    base::TemporaryFolder folder_;
};

TEST_F(LlamaRs, TokensAreRead) {
    const auto tokens = read(zstd_compressed(good().plain()));
    ASSERT_TRUE(tokens.ok()) << tokens.error().message;
    EXPECT_EQ(*tokens, (std::vector<TokenId>{1, 7, 49}));
}

TEST_F(LlamaRs, SizesThatAreNotTheModelsAreNamed) {
    const auto differs = [&](auto change, const std::string& words) {
        LlamaRsSnapshot snapshot = good();
        change(snapshot);
        const Error error = error_of(snapshot);
        EXPECT_EQ(error.code, ErrorCode::session_mismatch) << error.message;
        EXPECT_THAT(error.message, HasSubstr(words));
    };
    differs([](auto& s) { s.tokens.push_back(50); }, "the token 50");
    differs([](auto& s) { s.tokens.push_back(-1); }, "the token -1");
    differs([](auto& s) { s.tokens.resize(129); }, "129 tokens");
    differs([](auto& s) { s.logits = 51; }, "51 logits");
    differs([](auto& s) { ++s.key_bytes; }, "keys");
    differs([](auto& s) { s.value_bytes -= 4; }, "values");
}

TEST_F(LlamaRs, DamageIsFound) {
    const auto damaged = [&](auto change) {
        LlamaRsSnapshot snapshot = good();
        change(snapshot);
        EXPECT_EQ(error_of(snapshot).code, ErrorCode::file_malformed);
    };
    damaged([](auto& s) { s.past = 4; });
    damaged([](auto& s) { s.key_type = 2; });
    damaged([](auto& s) { s.value_bytes /= 2; });
    damaged([](auto& s) { s.key_bytes = s.value_bytes = 0; });
    damaged([](auto& s) { s.behind.push_back('x'); });

    const std::string plain = good().plain();
    for (std::size_t size = 0; size < plain.size(); size += 97)
        EXPECT_EQ(read(zstd_compressed(plain.substr(0, size))).error().code, ErrorCode::file_malformed) << size;
    const std::string whole = zstd_compressed(plain);
    for (std::size_t size = 4; size < whole.size(); ++size)
        EXPECT_EQ(read(whole.substr(0, size)).error().code, ErrorCode::file_malformed) << size;
    EXPECT_EQ(read(whole + "x").error().code, ErrorCode::file_malformed);
    EXPECT_EQ(read(whole + whole).error().code, ErrorCode::file_malformed);
    EXPECT_EQ(read("PUNA").error().code, ErrorCode::unsupported_format);
    EXPECT_EQ(read("").error().code, ErrorCode::unsupported_format);
}

// What a stream claims is checked before anything is allocated for it.
TEST_F(LlamaRs, ClaimsAreNotBelieved) {
    std::string plain = good().plain();
    const std::uint64_t huge = ~std::uint64_t{0} / 4;
    std::memcpy(plain.data() + 24, &huge, sizeof(huge));  // the number of tokens
    EXPECT_EQ(read(zstd_compressed(plain)).error().code, ErrorCode::session_mismatch);
    // 64 MiB of zeros in a few kilobytes.
    EXPECT_FALSE(read(zstd_compressed(std::string(std::size_t{64} << 20, '\0'))).ok());
}

}  // namespace
}  // namespace puna::engine
