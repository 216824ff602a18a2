// Models whose weights are in types that few files have: each type computes what its decoded weights do.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "support/model_session.h"
#include "support/temp_file.h"
#include "support/tiny_model.h"

namespace puna {
namespace {

using kernels::Activations;
using quant::TypeInfo;
using support::Logits;

constexpr std::uint32_t width = 256;
constexpr const char* rare_types[] = {"IQ1_S",   "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S",
                                      "IQ3_XXS", "IQ3_S", "TQ1_0",   "TQ2_0",  "NVFP4"};

/// Random blocks, of which each has values of an ordinary size.
std::vector<std::byte> random_matrix(const TypeInfo& type, std::size_t elements, std::mt19937& random) {
    std::vector<std::byte> bytes(elements / type.block_elements * type.block_bytes);
    std::vector<float> values(std::max<std::size_t>(type.block_elements, elements));
    if (type.from_float != nullptr) {
        for (float& v : values)
            v = (static_cast<float>(random() % 2001) - 1000.0F) * 1e-4F;
        type.from_float(values.data(), bytes.data(), elements);
        return bytes;
    }
    for (std::size_t at = 0; at < bytes.size(); at += type.block_bytes) {
        double power = 0;
        do {
            for (std::size_t i = 0; i < type.block_bytes; ++i)
                bytes[at + i] = static_cast<std::byte>(random() & 255U);
            type.to_float(bytes.data() + at, values.data(), type.block_elements);
            power = 0;
            for (std::size_t i = 0; i < type.block_elements; ++i)
                power += static_cast<double>(values[i]) * values[i];
        } while (!(power > 0.1 && power < 10.0));  // of 256 values: about 1 / 16 each
    }
    return bytes;
}

/// Two files: weights in all the rare types, and the same ones decoded.
class RareTypes : public testing::Test {
  protected:
    RareTypes() {
        std::mt19937 random(3);
        auto encoded = support::tiny_model_builder({.embedding = width, .feed_forward = 512});
        auto decoded = encoded;
        std::size_t next = 0;
        const auto add = [&](const std::string& name, std::uint32_t rows, std::uint32_t columns) {
            const TypeInfo& type = *quant::find_type(rare_types[next++ % std::size(rare_types)]);
            const std::size_t count = std::size_t{rows} * columns;
            const auto blocks = random_matrix(type, count, random);
            std::vector<float> values(count);
            type.to_float(blocks.data(), values.data(), count);
            encoded.remove_tensor(name).tensor(name, {columns, rows}, static_cast<std::uint32_t>(type.type), blocks);
            decoded.remove_tensor(name).f32_tensor(name, {columns, rows}, values);
        };
        add("token_embd.weight", 300, width);
        for (const char* layer : {"blk.0.", "blk.1."}) {
            const auto name = [layer](const char* part) { return std::string(layer) + part + ".weight"; };
            add(name("attn_q"), width, width);
            add(name("attn_k"), width / 2, width);
            add(name("attn_v"), width / 2, width);
            add(name("attn_output"), width, width);
            add(name("ffn_gate"), 512, width);
            add(name("ffn_up"), 512, width);
            add(name("ffn_down"), width, 512);
        }
        EXPECT_GE(next, std::size(rare_types));
        folder_.write("encoded.gguf", encoded.build().bytes);
        folder_.write("decoded.gguf", decoded.build().bytes);
    }

    Logits logits(const char* file, const std::string& isa, Activations activations) {
        std::vector<std::int32_t> tokens(40);
        for (std::size_t i = 0; i < tokens.size(); ++i)
            tokens[i] = static_cast<std::int32_t>(i * 37 % 300);
        support::ModelSession session(support::load_model(folder_.path(file)),
                                      {.isa = isa, .activations = activations});
        // One row of activations at a time, and then many.
        const auto sequence = session.cache().add_sequence();
        Logits all = session.evaluate(sequence, std::span(tokens).first(3), 1);
        const Logits rest = session.evaluate(sequence, tokens, 40, 1, 3);
        all.values.insert(all.values.end(), rest.values.begin(), rest.values.end());
        return all;
    }

    support::TempFolder folder_;
};

TEST_F(RareTypes, GiveTheBitsOfTheirDecodedWeights) {
    const Logits expected = logits("decoded.gguf", "auto", Activations::float32);
    EXPECT_TRUE(std::all_of(expected.values.begin(), expected.values.end(), [](float v) { return std::isfinite(v); }));
    const Logits computed = logits("encoded.gguf", "auto", Activations::float32);
    ASSERT_EQ(computed.values.size(), expected.values.size());
    EXPECT_EQ(std::memcmp(computed.values.data(), expected.values.data(), expected.values.size() * 4), 0);
}

TEST_F(RareTypes, IntegerActivationsAreClose) {
    const Logits expected = logits("decoded.gguf", "auto", Activations::float32);
    const Logits computed = logits("encoded.gguf", "auto", Activations::int16);
    double error = 0;
    double power = 0;
    for (std::size_t i = 0; i < expected.values.size(); ++i) {
        error += std::pow(static_cast<double>(expected.values[i]) - computed.values[i], 2);
        power += std::pow(static_cast<double>(expected.values[i]), 2);
    }
    EXPECT_GT(power, 0.0);
    EXPECT_LT(std::sqrt(error / power), 1e-3);
}

TEST_F(RareTypes, EveryKernelSetGivesTheSameBits) {
    for (const Activations kind : {Activations::int16, Activations::int8, Activations::bf16_tiles}) {
        const Logits expected = logits("encoded.gguf", "generic", kind);
        for (const auto& set : kernels::all_kernel_sets()) {
            if (!set.available || set.table->matmul(quant::TensorType::Q4_0, kind) == nullptr) continue;
            SCOPED_TRACE(std::string(set.table->name) + ", " + std::string(kernels::activations_name(kind)));
            const Logits computed = logits("encoded.gguf", std::string(set.table->name), kind);
            ASSERT_EQ(computed.values.size(), expected.values.size());
            EXPECT_EQ(std::memcmp(computed.values.data(), expected.values.data(), expected.values.size() * 4), 0);
        }
    }
}

}  // namespace
}  // namespace puna
