// Base files: their bytes, what a prediction loses in them, and files that are none.
#include "convert/kl_base.h"

#include <gmock/gmock.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <limits>
#include <random>

#include "convert/divergence.h"
#include "convert/perplexity.h"
#include "support/model_session.h"
#include "support/temp_file.h"
#include "support/tiny_model.h"

namespace puna::convert {
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
    Error error_of(const std::vector<std::byte>& bytes) {
        const auto result = open(bytes);
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

TEST_F(KlBaseTest, TokensAtTheFloorAddNothing) {
    // Log-probabilities in the base: about 0 and, for the other, 20 less.
    std::vector<std::byte> row(KlBaseShape{.vocabulary = 2}.row_bytes());
    const float scale = 20.0F / 65535.0F;
    const float minimum = -20.0F;
    std::memcpy(row.data(), &scale, 4);
    std::memcpy(row.data() + 4, &minimum, 4);
    const std::uint16_t code = 65535;
    std::memcpy(row.data() + 8, &code, 2);
    const std::vector<float> logits = {0.0F, 0.0F};
    const Score score = score_prediction(logits, BasePrediction(row.data(), 2), 1);
    EXPECT_NEAR(score.divergence, std::log(2.0), 1e-4);
    EXPECT_NEAR(score.reference_loss, 20, 1e-4);
    EXPECT_TRUE(score.same_top);
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

class Recording : public testing::Test {
  protected:
    Recording() {
        for (std::int32_t i = 0; i < 70; ++i)
            tokens_.push_back(3 + i * 37 % 290);
    }
    PerplexityResult measure(const std::shared_ptr<const models::Model>& model, PerplexityPeers peers,
                             kernels::Activations activations = kernels::Activations::int16) {
        const auto evaluator = must(Evaluator::create(model, {.kernels = kernels_,
                                                              .activations = activations,
                                                              .pool = pool_.get(),
                                                              .batch_rows = options_.batch_rows,
                                                              .capacity_positions = perplexity_positions(options_)}));
        return must(measure_perplexity(*evaluator, peers, *pool_, tokens_, 1, options_, {}));
    }
    std::shared_ptr<const models::Model> model(const char* type) {
        return support::load_model(folder_.write(
            std::string(type) + ".gguf", support::tiny_model({.matrix_type = quant::find_type(type), .tied = false})));
    }

    support::TempFolder folder_;
    std::vector<TokenId> tokens_;
    PerplexityOptions options_ = {.chunk_tokens = 20, .batch_rows = 64};
    const kernels::KernelTable* kernels_ = must(kernels::select_kernels("auto"));
    std::unique_ptr<base::ThreadPool> pool_ = must(base::ThreadPool::create(2));
};

TEST_F(Recording, TellsWhatAReferenceBesideTells) {
    const auto plain = model("F16");
    const auto coarse = model("Q4_0");
    const std::string path = folder_.path("base.kld");
    for (const std::int64_t rows : {7, 64}) {  // the file is the same however the work is cut
        options_.batch_rows = rows;
        auto writer = must(KlBaseWriter::create(path, {20, 300, 3}, std::span(tokens_).first(60)));
        measure(plain, {.recording = &writer});
        ASSERT_TRUE(writer.commit().ok());
        const KlBase base = must(KlBase::open(path));
        const auto reference = must(Evaluator::create(plain, {.kernels = kernels_,
                                                              .pool = pool_.get(),
                                                              .batch_rows = options_.batch_rows,
                                                              .capacity_positions = perplexity_positions(options_)}));
        const auto exact = measure(coarse, {.reference = reference.get()});
        const auto found = measure(coarse, {.base = &base});
        EXPECT_EQ(found.perplexity, exact.perplexity);
        EXPECT_GT(exact.divergence->mean.value, 1e-4);
        EXPECT_NEAR(found.divergence->mean.value, exact.divergence->mean.value, 3e-5);
        EXPECT_NEAR(found.divergence->mean.error, exact.divergence->mean.error, 3e-5);
        EXPECT_NEAR(found.divergence->reference.value / exact.divergence->reference.value, 1, 1e-4);
        EXPECT_NEAR(found.divergence->log_ratio.value, exact.divergence->log_ratio.value, 1e-4);
        EXPECT_NEAR(found.divergence->log_ratio.error, exact.divergence->log_ratio.error, 1e-4);
        EXPECT_NEAR(found.divergence->correlation, exact.divergence->correlation, 1e-3);
        EXPECT_NEAR(found.divergence->p_change_rms.value, exact.divergence->p_change_rms.value, 1e-5);
        EXPECT_EQ(found.divergence->same_top.value, exact.divergence->same_top.value);
        const auto self = measure(plain, {.base = &base});
        EXPECT_LT(std::abs(self.divergence->mean.value), 1e-5);
        EXPECT_EQ(self.divergence->same_top.value, 1.0);
    }
}

TEST_F(Recording, ABaseOfSomethingElseIsAnError) {
    const auto plain = model("F16");
    support::TempFolder other;
    const KlBase base = must(KlBase::open(other.write("base.kld", Bytes().bytes)));
    const auto evaluator = must(Evaluator::create(plain, {.kernels = kernels_,
                                                          .pool = pool_.get(),
                                                          .batch_rows = options_.batch_rows,
                                                          .capacity_positions = perplexity_positions(options_)}));
    const auto result = measure_perplexity(*evaluator, {.base = &base}, *pool_, tokens_, 1, options_, {});
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.error().code, ErrorCode::invalid_argument);
    EXPECT_THAT(result.error().message, HasSubstr("3 tokens in its vocabulary; this one has 300"));
}

}  // namespace
}  // namespace puna::convert
