// The registry: names, ids and sizes of the GGUF specification, and that every computing type keeps its promises.
#include "quant/tensor_type.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <random>
#include <set>
#include <string>
#include <vector>

namespace puna::quant {
namespace {

struct SpecifiedType {
    std::uint32_t id;
    const char* name;
    std::uint32_t elements;
    std::uint32_t bytes;
    std::uint32_t law_width;
    bool has_min;
    bool computes;
    bool writes = true;  // if it computes
};

// The specification's ids and sizes, and the laws of docs/numerics.md.
constexpr SpecifiedType specified[] = {
    {0, "F32", 1, 4, 0, false, true},
    {1, "F16", 1, 2, 0, false, true},
    {2, "Q4_0", 32, 18, 32, false, true},
    {3, "Q4_1", 32, 20, 32, true, true},
    {6, "Q5_0", 32, 22, 32, false, true},
    {7, "Q5_1", 32, 24, 32, true, true},
    {8, "Q8_0", 32, 34, 32, false, true},
    {9, "Q8_1", 32, 36, 0, false, false},
    {10, "Q2_K", 256, 84, 16, true, true},
    {11, "Q3_K", 256, 110, 16, false, true},
    {12, "Q4_K", 256, 144, 32, true, true},
    {13, "Q5_K", 256, 176, 32, true, true},
    {14, "Q6_K", 256, 210, 16, false, true},
    {15, "Q8_K", 256, 292, 0, false, false},
    {16, "IQ2_XXS", 256, 66, 32, false, true},
    {17, "IQ2_XS", 256, 74, 16, false, true},
    {18, "IQ3_XXS", 256, 98, 32, false, true},
    {19, "IQ1_S", 256, 50, 32, false, true},
    {20, "IQ4_NL", 32, 18, 32, false, true},
    {21, "IQ3_S", 256, 110, 32, false, true},
    {22, "IQ2_S", 256, 82, 16, false, true},
    {23, "IQ4_XS", 256, 136, 32, false, true},
    {24, "I8", 1, 1, 0, false, false},
    {25, "I16", 1, 2, 0, false, false},
    {26, "I32", 1, 4, 0, false, false},
    {27, "I64", 1, 8, 0, false, false},
    {28, "F64", 1, 8, 0, false, true, false},
    {29, "IQ1_M", 256, 56, 16, false, true},
    {30, "BF16", 1, 2, 0, false, true},
    {34, "TQ1_0", 256, 54, 32, false, true},
    {35, "TQ2_0", 256, 66, 32, false, true},
    {39, "MXFP4", 32, 17, 32, false, true},
    {40, "NVFP4", 64, 36, 16, false, true},
    {41, "Q1_0", 128, 18, 0, false, false},
    // Of safetensors, under ids that no GGUF file may use.
    {0x10000, "F8_E4M3", 1, 1, 0, false, true, false},
    {0x10001, "F8_E5M2", 1, 1, 0, false, true, false},
    {0x10002, "BOOL", 1, 1, 0, false, false},
    {0x10003, "U8", 1, 1, 0, false, false},
    {0x10004, "U16", 1, 2, 0, false, false},
    {0x10005, "U32", 1, 4, 0, false, false},
    {0x10006, "U64", 1, 8, 0, false, false},
    // Of the formats before GGUF, under ids of the same kind.
    {0x10007, "Q4_0_GGJT1", 32, 20, 0, false, true, false},
    {0x10008, "Q4_1_GGJT1", 32, 24, 0, false, true, false},
    {0x10009, "Q5_0_GGJT1", 32, 22, 0, false, true, false},
    {0x1000a, "Q5_1_GGJT1", 32, 24, 0, false, true, false},
    {0x1000b, "Q4_0_GGJT2", 32, 20, 0, false, true, false},
    {0x1000c, "Q4_1_GGJT2", 32, 24, 0, false, true, false},
    {0x1000d, "Q8_0_GGJT2", 32, 36, 0, false, true, false},
};

std::vector<const TypeInfo*> computing_types() {
    std::vector<const TypeInfo*> types;
    for (const TypeInfo& info : all_types()) {
        if (info.computes()) types.push_back(&info);
    }
    return types;
}

/// Random bytes: any bit pattern is a block of a file that somebody may hand us.
std::vector<std::byte> random_bytes(std::size_t count, std::uint32_t seed) {
    std::mt19937 random(seed);
    std::vector<std::byte> bytes(count);
    for (std::byte& b : bytes)
        b = static_cast<std::byte>(random() & 255u);
    return bytes;
}

/// Equal bits, or both NaN.
bool same(float a, float b) {
    return std::bit_cast<std::uint32_t>(a) == std::bit_cast<std::uint32_t>(b) || (std::isnan(a) && std::isnan(b));
}

TEST(TensorType, RegistryHoldsTheSpecification) {
    ASSERT_EQ(all_types().size(), std::size(specified));
    for (std::size_t i = 0; i < std::size(specified); ++i) {
        const SpecifiedType& expected = specified[i];
        const TypeInfo& info = all_types()[i];
        SCOPED_TRACE(expected.name);
        EXPECT_EQ(static_cast<std::uint32_t>(info.type), expected.id);
        EXPECT_EQ(info.name, expected.name);
        EXPECT_EQ(info.block_elements, expected.elements);
        EXPECT_EQ(info.block_bytes, expected.bytes);
        EXPECT_EQ(info.law_width, expected.law_width);
        EXPECT_EQ(info.has_min, expected.has_min);
        EXPECT_EQ(info.computes(), expected.computes);
        EXPECT_EQ(info.law_block != nullptr, expected.law_width > 0);
        EXPECT_EQ(info.from_float != nullptr, expected.computes && expected.writes);
        EXPECT_EQ(is_gguf_type(info.type), expected.id < 0x10000);
        EXPECT_EQ(find_type(expected.id), &info);
        EXPECT_EQ(find_type(std::string_view(expected.name)), &info);
        EXPECT_EQ(&type_info(info.type), &info);
        EXPECT_TRUE(retired_type_name(expected.id).empty());
    }
}

TEST(TensorType, NamesAreFoundInAnyCase) {
    EXPECT_EQ(find_type("q4_k"), &type_info(TensorType::Q4_K));
    EXPECT_EQ(find_type("Iq4_xS"), &type_info(TensorType::IQ4_XS));
    EXPECT_EQ(find_type("bf16"), &type_info(TensorType::BF16));
    for (const char* name : {"", "Q4", "Q4_K_M", "Q4_K ", "q4-k", "Q4_2"})
        EXPECT_EQ(find_type(name), nullptr) << name;
}

TEST(TensorType, UnknownAndRetiredIds) {
    const std::pair<std::uint32_t, const char*> retired[] = {{4, "Q4_2"},        {5, "Q4_3"},       {31, "Q4_0_4_4"},
                                                             {32, "Q4_0_4_8"},   {33, "Q4_0_8_8"},  {36, "IQ4_NL_4_4"},
                                                             {37, "IQ4_NL_4_8"}, {38, "IQ4_NL_8_8"}};
    for (const auto& [id, name] : retired) {
        EXPECT_EQ(find_type(id), nullptr);
        EXPECT_EQ(retired_type_name(id), name);
    }
    for (const std::uint32_t id : {42u, 1000u, 0x7fffffffu, 0xffffffffu}) {
        EXPECT_EQ(find_type(id), nullptr);
        EXPECT_EQ(retired_type_name(id), "");
    }
}

TEST(TensorType, LawBlocksRebuildEveryElement) {
    constexpr std::size_t blocks = 200;
    for (const TypeInfo* info : computing_types()) {
        if (info->law_width == 0) continue;
        SCOPED_TRACE(info->name);
        const std::size_t count = blocks * info->block_elements;
        const std::vector<std::byte> row = random_bytes(blocks * info->block_bytes, 11);
        std::vector<float> decoded(count);
        info->to_float(row.data(), decoded.data(), count);
        LawBlock law{};
        for (std::size_t e = 0; e < count; ++e) {
            if (e % info->law_width == 0) info->law_block(row.data(), e / info->law_width, &law);
            const int q = law.q[e % info->law_width];
            ASSERT_TRUE(same(decoded[e], law.scale * static_cast<float>(q) - law.min)) << e;
            if (!info->has_min) {
                ASSERT_EQ(law.min, 0.0f);
            }
        }
    }
}

TEST(TensorType, LawProductsAreExact) {
    // scale * q needs no rounding in float, so decoding rounds at most once.
    for (const TypeInfo* info : computing_types()) {
        if (info->law_width == 0) continue;
        SCOPED_TRACE(info->name);
        const std::vector<std::byte> row = random_bytes(200 * info->block_bytes, 12);
        LawBlock law{};
        for (std::size_t b = 0; b < 200 * info->block_elements / info->law_width; ++b) {
            info->law_block(row.data(), b, &law);
            // Not a number that a model holds: infinite, or so large that the product overflows (MXFP4's last few).
            if (!(std::fabs(law.scale) < 1e36f)) continue;
            for (std::uint32_t i = 0; i < info->law_width; ++i) {
                const float product = law.scale * static_cast<float>(law.q[i]);
                ASSERT_EQ(static_cast<double>(product), static_cast<double>(law.scale) * law.q[i]);
            }
        }
    }
}

TEST(TensorType, BlocksMayLieAtAnyAddress) {
    constexpr std::size_t blocks = 4;
    for (const TypeInfo* info : computing_types()) {
        SCOPED_TRACE(info->name);
        const std::size_t count = blocks * info->block_elements;
        const std::size_t size = blocks * info->block_bytes;
        const std::vector<std::byte> row = random_bytes(size, 13);
        std::vector<float> expected(count);
        info->to_float(row.data(), expected.data(), count);
        std::vector<float> values(count, 0.25f);
        std::vector<std::byte> expected_bytes(size);
        if (info->from_float != nullptr) info->from_float(values.data(), expected_bytes.data(), count);
        for (const std::size_t offset : {1u, 2u, 3u, 7u}) {
            std::vector<std::byte> shifted(size + offset);
            std::memcpy(shifted.data() + offset, row.data(), size);
            std::vector<float> decoded(count);
            info->to_float(shifted.data() + offset, decoded.data(), count);
            for (std::size_t i = 0; i < count; ++i)
                ASSERT_TRUE(same(decoded[i], expected[i])) << offset << ' ' << i;
            if (info->from_float == nullptr) continue;
            info->from_float(values.data(), shifted.data() + offset, count);
            EXPECT_EQ(std::memcmp(shifted.data() + offset, expected_bytes.data(), size), 0) << offset;
        }
    }
}

TEST(TensorType, NothingToConvertIsFine) {
    for (const TypeInfo* info : computing_types()) {
        info->to_float(nullptr, nullptr, 0);
        if (info->from_float != nullptr) info->from_float(nullptr, nullptr, 0);
    }
}

}  // namespace
}  // namespace puna::quant
