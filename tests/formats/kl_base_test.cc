// Base files: their bytes, what a prediction loses in them, and files that are none.
#include "formats/kl_base.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <limits>
#include <random>

#include "formats/largest_allocation.h"
#include "support/must.h"
#include "support/temp_file.h"

namespace puna::formats {
namespace {

using support::must;
using testing::HasSubstr;

/// A file put together by hand: two chunks of 5 tokens (2 predictions each), 3 tokens in the vocabulary.
class Bytes {
  public:
    Bytes() {
        text("_logits_");
        for (const std::int32_t value : {5, 3, 2})
            number(value);
        for (const std::int32_t token : {0, 1, 2, 1, 0, 2, 2, 1, 0, 1})
            number(token);
        for (int row = 0; row < 4; ++row) {
            number(0.0001F);
            number(-6.6F + 0.01F * static_cast<float>(row));
            for (const std::uint16_t code : {65535, 0, 40000, 0})  // the last one is padding
                number(code);
        }
    }
    template <typename T>
    Bytes& patch(std::size_t offset, T value) {
        std::memcpy(bytes.data() + offset, &value, sizeof(T));
        return *this;
    }

    std::vector<std::byte> bytes;

  private:
    void text(std::string_view words) {
        for (const char c : words)
            bytes.push_back(static_cast<std::byte>(c));
    }
    template <typename T>
    void number(T value) {
        bytes.resize(bytes.size() + sizeof(T));
        patch(bytes.size() - sizeof(T), value);
    }
};

class KlBaseTest : public testing::Test {
  protected:
    Result<KlBase> open(const std::vector<std::byte>& bytes) { return KlBase::open(folder_.write("base.kld", bytes)); }
    /// Of a file that is refused at once, and without much memory.
    Error error_of(const std::vector<std::byte>& bytes) {
        largest_allocation = 0;
        const auto start = std::chrono::steady_clock::now();
        const auto result = open(bytes);
        EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(1));
        EXPECT_LT(largest_allocation, std::size_t{1} << 16);
        return result.ok() ? Error{ErrorCode::not_yet, "it was read", ""} : result.error();
    }

    support::TempFolder folder_;
};

TEST_F(KlBaseTest, ReadsTheBytesOfTheFormat) {
    const KlBase base = must(open(Bytes().bytes));
    EXPECT_EQ(base.shape().chunk_tokens, 5);
    EXPECT_EQ(base.shape().vocabulary, 3);
    EXPECT_EQ(base.shape().chunks, 2);
    EXPECT_EQ(base.shape().predictions(), 2);
    EXPECT_EQ(base.tokens(), (std::vector<TokenId>{0, 1, 2, 1, 0, 2, 2, 1, 0, 1}));
    const BasePrediction row = must(base.prediction(1, 1));
    EXPECT_EQ(row.code(0), 65535);
    EXPECT_EQ(row.code(2), 40000);
    EXPECT_NEAR(row.log_probability(0), 0.0001 * 65535 - 6.57, 1e-6);
    EXPECT_NEAR(row.log_probability(1), -6.57, 1e-6);
}

TEST_F(KlBaseTest, WritesTheBytesOfTheFormat) {
    const KlBaseShape shape = {5, 3, 1};
    const std::vector<TokenId> tokens = {0, 1, 2, 1, 0};
    auto writer = must(KlBaseWriter::create(folder_.path("out.kld"), shape, tokens));
    // exp: 0.5, 0.25, 0.25; ln of the sum is 0, so the codes run from ln 0.25 to ln 0.5.
    const std::vector<float> logits = {std::log(0.5F), std::log(0.25F), std::log(0.25F)};
    std::vector<std::byte> row(shape.row_bytes(), std::byte{0xff});
    encode_base_prediction(logits, row.data());
    EXPECT_EQ(row[14], std::byte{0});  // padding
    EXPECT_EQ(row[15], std::byte{0});
    EXPECT_TRUE(writer.write(row).ok());
    EXPECT_FALSE(std::filesystem::exists(folder_.path("out.kld")));
    EXPECT_TRUE(writer.write(row).ok());
    EXPECT_TRUE(writer.commit().ok());
    EXPECT_EQ(std::filesystem::file_size(folder_.path("out.kld")), 20U + 5 * 4 + 2 * 16);
    EXPECT_EQ(must(kl_base_file_bytes(shape)), 20U + 5 * 4 + 2 * 16);

    const KlBase base = must(KlBase::open(folder_.path("out.kld")));
    EXPECT_EQ(base.tokens(), tokens);
    const BasePrediction read = must(base.prediction(0, 1));
    EXPECT_EQ(read.code(0), 65535);
    EXPECT_EQ(read.code(1), 0);
    EXPECT_NEAR(read.log_probability(0), std::log(0.5), 1e-6);
    EXPECT_NEAR(read.log_probability(2), std::log(0.25), 1e-6);
}

TEST_F(KlBaseTest, ACodeIsWithinHalfAStepAndNotBelowTheFloor) {
    std::mt19937_64 random(3);
    std::vector<float> logits(1001);
    for (float& x : logits)
        x = static_cast<float>(random() % 40'000) / 1000.0F - 10.0F;
    std::vector<std::byte> row(KlBaseShape{.vocabulary = 1001}.row_bytes());
    encode_base_prediction(logits, row.data());
    const BasePrediction prediction(row.data(), 1001);
    ASSERT_TRUE(prediction.well_formed());
    double sum = 0;
    for (const float x : logits)
        sum += std::exp(double{x});
    const float largest = *std::max_element(logits.begin(), logits.end());
    for (std::size_t i = 0; i < logits.size(); ++i) {
        const double exact = std::max(logits[i], largest - 16) - std::log(sum);
        EXPECT_NEAR(prediction.log_probability(static_cast<std::int64_t>(i)), exact, 0.5 * 16 / 65535 + 1e-5) << i;
    }
}

TEST_F(KlBaseTest, EqualLogitsAndHugeOnes) {
    std::vector<std::byte> row(KlBaseShape{.vocabulary = 4}.row_bytes());
    encode_base_prediction(std::vector<float>(4, 2.5F), row.data());
    const BasePrediction flat(row.data(), 4);
    EXPECT_TRUE(flat.well_formed());
    EXPECT_NEAR(flat.log_probability(3), std::log(0.25), 1e-6);
    const float huge = std::numeric_limits<float>::max();
    encode_base_prediction(std::vector<float>{huge, -huge, 0, huge}, row.data());
    EXPECT_EQ(BasePrediction(row.data(), 4).code(1), 0);
}

TEST_F(KlBaseTest, RefusesWhatIsNone) {
    const auto& good = Bytes().bytes;
    for (std::size_t size = 0; size < good.size(); ++size) {
        const Error error = error_of({good.begin(), good.begin() + static_cast<std::ptrdiff_t>(size)});
        EXPECT_EQ(error.code, ErrorCode::file_malformed) << size << ": " << error.message;
        EXPECT_THAT(error.message, HasSubstr("(at byte ")) << size;
    }
    auto longer = good;
    longer.push_back({});
    EXPECT_EQ(error_of(longer).code, ErrorCode::file_malformed);
    EXPECT_THAT(error_of(Bytes().patch(3, 'x').bytes).message, HasSubstr("header, magic"));

    struct Field {
        std::size_t offset;
        const char* name;
    };
    for (const Field& field : {Field{8, "n_ctx"}, Field{12, "n_vocab"}, Field{16, "n_chunk"}}) {
        for (const std::int32_t value : {-1, 0, std::numeric_limits<std::int32_t>::min()}) {
            const Error error = error_of(Bytes().patch(field.offset, value).bytes);
            EXPECT_THAT(error.message, HasSubstr(std::string(field.name) + " is " + std::to_string(value)));
            EXPECT_EQ(error.code, ErrorCode::file_malformed);
        }
        const Error error = error_of(Bytes().patch(field.offset, std::numeric_limits<std::int32_t>::max()).bytes);
        EXPECT_EQ(error.code, ErrorCode::file_malformed);
    }
    for (std::size_t offset = 8; offset < 20; ++offset)  // all three as large as can be
        longer[offset] = offset % 4 == 3 ? std::byte{0x7f} : std::byte{0xff};
    EXPECT_EQ(error_of(longer).code, ErrorCode::file_malformed);
    EXPECT_THAT(error_of(Bytes().patch(24, std::int32_t{3}).bytes).message, HasSubstr("token 1 is 3"));
    EXPECT_THAT(error_of(Bytes().patch(24, std::int32_t{-1}).bytes).message, HasSubstr("(at byte 24)"));
    EXPECT_EQ(KlBase::open(folder_.path("none")).error().code, ErrorCode::file_not_found);

    const float nan = std::numeric_limits<float>::quiet_NaN();
    for (const float value : {nan, std::numeric_limits<float>::infinity(), -1.0F, 1.0F}) {
        const KlBase base = must(open(Bytes().patch(20 + 40 + 16, value).bytes));  // the second row's scale
        EXPECT_TRUE(base.prediction(0, 0).ok());
        const auto row = base.prediction(0, 1);
        ASSERT_FALSE(row.ok()) << value;
        EXPECT_EQ(row.error().code, ErrorCode::file_malformed);
        EXPECT_THAT(row.error().message, HasSubstr("(at byte 76)"));
    }
}

// Whatever bytes change, the answer is predictions or an error.
TEST_F(KlBaseTest, RandomMutationsNeverCrash) {
    std::mt19937_64 random(20'240'127);
    const auto below = [&](std::size_t n) { return static_cast<std::size_t>(random() % n); };
    const auto good = Bytes().bytes;
    for (int round = 0; round < 2'000; ++round) {
        auto bytes = good;
        for (std::size_t change = 1 + below(4); change > 0; --change)
            bytes[8 + below(bytes.size() - 8)] = static_cast<std::byte>(random());
        const auto base = open(bytes);
        if (!base.ok()) continue;
        for (std::int64_t chunk = 0; chunk < base->shape().chunks; ++chunk) {
            for (std::int64_t i = 0; i < base->shape().predictions(); ++i) {
                const auto row = base->prediction(chunk, i);
                if (row.ok()) {
                    EXPECT_LE(row->log_probability(base->shape().vocabulary - 1), 0.02F);
                }
            }
        }
    }
}

}  // namespace
}  // namespace puna::formats
