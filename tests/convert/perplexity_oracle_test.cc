// The perplexity of a text that every Debian has, with the defaults, against Transformers in float32 on the same
// weights (tools/make_oracle.py).
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "convert/evaluator.h"
#include "convert/perplexity.h"
#include "support/model_session.h"
#include "text/tokenizer/tokenizer.h"

namespace puna::convert {
namespace {

using support::must;

std::string read_text(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    EXPECT_TRUE(in.good()) << path;
    return {std::istreambuf_iterator<char>(in), {}};
}

TEST(PerplexityOracle, DefaultsAreWithinATenthOfAPercent) {
    const auto oracle = nlohmann::json::parse(read_text(PUNA_TEST_DATA "/models/data/smollm2_oracle.json"));
    const auto& expected = oracle["perplexity"];
    const auto model = support::load_model(PUNA_DEMO_MODEL);
    const auto tokenizer = must(text::Tokenizer::create(model->file().vocabulary));
    const auto tokens = tokenizer->encode(read_text(expected["file"].get<std::string>()), {});
    ASSERT_EQ(tokens.size(), expected["tokens"].get<std::size_t>()) << "another text, or another tokenizer";
    ASSERT_FALSE(model->file().vocabulary.add_bos);

    const PerplexityOptions options;
    ASSERT_EQ(options.chunk_tokens, expected["chunk"].get<std::int64_t>());
    const auto pool = must(base::ThreadPool::create(2));
    const EvaluatorOptions defaults{.kernels = must(kernels::select_kernels("auto")),
                                    .pool = pool.get(),
                                    .batch_rows = options.batch_rows,
                                    .capacity_positions = perplexity_positions(options)};
    ASSERT_EQ(defaults.activations, kernels::Activations::int16);
    ASSERT_EQ(defaults.kv_type, kernels::KvType::f16);
    const auto evaluator = must(Evaluator::create(model, defaults));
    const auto result = must(measure_perplexity(*evaluator, {}, *pool, tokens, std::nullopt, options,
                                                [](const PerplexityResult&, std::int64_t) { return true; }));
    EXPECT_EQ(result.chunks, expected["chunks"].get<std::int64_t>());
    EXPECT_EQ(result.tokens_scored, expected["tokens_scored"].get<std::int64_t>());
    const double reference = expected["perplexity"].get<double>();
    EXPECT_NEAR(result.perplexity, reference, 1e-3 * reference);
    RecordProperty("perplexity", std::to_string(result.perplexity));
}

}  // namespace
}  // namespace puna::convert
