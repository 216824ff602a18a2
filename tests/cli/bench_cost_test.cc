// The account of bytes and multiplies, against sums done by hand.
#include "cli/bench_cost.h"

#include <gtest/gtest.h>

#include "support/model_session.h"
#include "support/temp_file.h"
#include "support/tiny_model.h"

namespace puna::cli {
namespace {

// The tiny model, per layer: Q and output 64 x 64, K and V 32 x 64, gate and up 96 x 64, down 64 x 96. Q4_0: 18 bytes
// for 32 weights.
constexpr std::uint64_t layer_weights = 2 * 64 * 64 + 2 * 32 * 64 + 3 * 96 * 64;
constexpr std::uint64_t head_weights = 300 * 64;
constexpr std::uint64_t norm_bytes = (2 * 2 + 1) * 64 * 4;

ModelCost cost_of(bool tied) {
    const support::TempFolder folder;
    const std::string path =
        folder.write("tiny.gguf", support::tiny_model({.matrix_type = quant::find_type("Q4_0"), .tied = tied}));
    return count_model(*support::load_model(path));
}

TEST(BenchCost, EmbeddingIsReadWholeOnlyWhereItIsTheHead) {
    for (const bool tied : {true, false}) {
        const ModelCost cost = cost_of(tied);
        EXPECT_EQ(cost.read_bytes, (2 * layer_weights + head_weights) * 18 / 32 + norm_bytes);
        EXPECT_EQ(cost.embedding_row_bytes, 64U * 18 / 32);
        EXPECT_EQ(cost.layer_multiplies, 2 * layer_weights);
        EXPECT_EQ(cost.head_multiplies, head_weights);
        EXPECT_EQ(cost.integer_multiplies, 2 * layer_weights + head_weights);
        EXPECT_EQ(cost.main_type, "Q4_0");
    }
}

TEST(BenchCost, StepReadsWeightsOnceAndAllKeysAndValues) {
    const ModelCost model = {
        .read_bytes = 1000, .embedding_row_bytes = 10, .layer_multiplies = 70, .head_multiplies = 30};
    const models::Dimensions dimensions = {.layers = 2, .heads = 4, .kv_heads = 2, .head_dim = 16};
    // 100 positions before, 1 row: 101 positions of 2 layers x (K and V) x 2 heads x 16 x 2 bytes.
    const StepCost one = step_cost(model, dimensions, kernels::KvType::f16, {.rows = 1, .position = 100});
    EXPECT_DOUBLE_EQ(one.bytes, 1000 + 10 + 101 * 256.0);
    EXPECT_DOUBLE_EQ(one.multiplies, 70 + 30 + 101 * 2 * 2 * 4 * 16.0);
    // Three rows that see 1, 2 and 3 positions; logits of the last.
    const StepCost three = step_cost(model, dimensions, kernels::KvType::f32, {.rows = 3});
    EXPECT_DOUBLE_EQ(three.bytes, 1000 + 30 + 3 * 512.0);
    EXPECT_DOUBLE_EQ(three.multiplies, 3 * 70 + 30 + (1 + 2 + 3) * 2 * 2 * 4 * 16.0);
    // Five sequences share the weights and nothing else.
    const StepCost five =
        step_cost(model, dimensions, kernels::KvType::f16, {.rows = 1, .position = 100, .sequences = 5});
    EXPECT_DOUBLE_EQ(five.bytes, 1000 + 5 * (10 + 101 * 256.0));
    EXPECT_DOUBLE_EQ(five.multiplies, 5 * one.multiplies);
}

}  // namespace
}  // namespace puna::cli
