// What the tests of this folder share.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <string_view>

#include "formats/model_file.h"
#include "support/gguf_builder.h"
#include "support/must.h"
#include "support/temp_file.h"

namespace puna::formats {

/// A small good file with a bit of everything: scalars, arrays, a vocabulary, tensors F32 and Q4_0.
inline support::GgufBuilder good_builder(std::uint32_t version = 3) {
    using support::GgufType;
    support::GgufBuilder builder(version);
    builder.string("general.architecture", "llama")
        .string("general.name", "good")
        .u32("general.alignment", 32)
        .boolean("a.bool", true)
        .f32("a.float", 0.25F)
        .array<std::int16_t>("a.numbers", GgufType::i16, {-1, 2, -3})
        .array<std::uint8_t>("a.bools", GgufType::boolean, {1, 0, 1})
        .string("tokenizer.ggml.model", "llama")
        .strings("tokenizer.ggml.tokens", {"<unk>", "<s>", "</s>", "a", "b", "ab"})
        .array<float>("tokenizer.ggml.scores", GgufType::f32, {0, 0, 0, -1, -2, -3})
        .array<std::int32_t>("tokenizer.ggml.token_type", GgufType::i32, {2, 3, 3, 1, 1, 1})
        .u32("tokenizer.ggml.bos_token_id", 1)
        .u32("tokenizer.ggml.eos_token_id", 2)
        .f32_tensor("norm", {8}, {1, 2, 3, 4, 5, 6, 7, 8})
        .tensor("matrix", {64, 2}, 2, std::vector<std::byte>(4 * 18, std::byte{0x11}))
        .f32_tensor("last", {2, 3}, {1, 2, 3, 4, 5, 6});
    return builder;
}

using support::must;

}  // namespace puna::formats
