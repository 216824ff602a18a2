// The early forms of Q4_0 ... Q8_0: their values by hand, and that packing them anew keeps what can be kept.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "quant/tensor_type.h"

namespace puna::quant {
namespace {

constexpr std::size_t width = 32;

template <typename T>
void append(std::vector<std::byte>& out, T value) {
    const auto* bytes = reinterpret_cast<const std::byte*>(&value);
    out.insert(out.end(), bytes, bytes + sizeof(T));
}

std::vector<float> decode(TensorType type, const std::vector<std::byte>& blocks) {
    const TypeInfo& info = type_info(type);
    std::vector<float> values(blocks.size() / info.block_bytes * info.block_elements);
    info.to_float(blocks.data(), values.data(), values.size());
    return values;
}

/// Bytes 0x10, 0x32, ...: with adjacent pairs, the codes 0 ... 15 twice; with halves, 0, 2, ... and then 1, 3, ...
void append_counting_nibbles(std::vector<std::byte>& out) {
    for (int i = 0; i < 16; ++i)
        append(out, static_cast<std::uint8_t>((2 * i % 16) | ((2 * i % 16 + 1) << 4)));
}

TEST(EarlyTypes, AdjacentElementsShareAByteBeforeGgjt2) {
    std::vector<std::byte> q4_0;
    append(q4_0, 0.5F);
    append_counting_nibbles(q4_0);
    std::vector<std::byte> q4_1;
    append(q4_1, 0.25F);
    append(q4_1, -3.0F);
    append_counting_nibbles(q4_1);
    const auto a = decode(TensorType::Q4_0_GGJT1, q4_0);
    const auto b = decode(TensorType::Q4_1_GGJT1, q4_1);
    const auto c = decode(TensorType::Q4_0_GGJT2, q4_0);
    const auto d = decode(TensorType::Q4_1_GGJT2, q4_1);
    for (std::size_t i = 0; i < width; ++i) {
        const auto adjacent = static_cast<float>(i % 16);
        const auto halves = static_cast<float>(2 * i % 16 + (i < 16 ? 0U : 1U));
        EXPECT_EQ(a[i], 0.5F * (adjacent - 8.0F)) << i;
        EXPECT_EQ(b[i], 0.25F * adjacent - 3.0F) << i;
        EXPECT_EQ(c[i], 0.5F * (halves - 8.0F)) << i;
        EXPECT_EQ(d[i], 0.25F * halves - 3.0F) << i;
    }
}

TEST(EarlyTypes, TheFifthBitOfAnElementStandsAtItsOwnPlace) {
    std::vector<std::byte> q5_0;
    append(q5_0, std::uint16_t{0x3800});      // 0.5
    append(q5_0, std::uint32_t{0x80010002});  // of the elements 1, 16 and 31
    append_counting_nibbles(q5_0);
    std::vector<std::byte> q5_1;
    append(q5_1, std::uint16_t{0x3800});
    append(q5_1, std::uint16_t{0xc200});  // -3
    append(q5_1, std::uint32_t{0x80010002});
    append_counting_nibbles(q5_1);
    const auto a = decode(TensorType::Q5_0_GGJT1, q5_0);
    const auto b = decode(TensorType::Q5_1_GGJT1, q5_1);
    for (std::size_t i = 0; i < width; ++i) {
        const float code = static_cast<float>(i % 16) + (i == 1 || i == 16 || i == 31 ? 16.0F : 0.0F);
        EXPECT_EQ(a[i], 0.5F * (code - 16.0F)) << i;
        EXPECT_EQ(b[i], 0.5F * code - 3.0F) << i;
    }
}

TEST(EarlyTypes, BytesUnderA32BitScale) {
    std::vector<std::byte> q8_0;
    append(q8_0, 0.1F);
    for (int i = 0; i < 32; ++i)
        append(q8_0, static_cast<std::int8_t>(i * 8 - 128));
    const auto values = decode(TensorType::Q8_0_GGJT2, q8_0);
    for (std::size_t i = 0; i < width; ++i)
        EXPECT_EQ(values[i], 0.1F * (static_cast<float>(i) * 8.0F - 128.0F)) << i;
}

std::vector<const TypeInfo*> early_types_of_the_registry() {
    std::vector<const TypeInfo*> types;
    for (const TypeInfo& info : all_types()) {
        if (info.repack != nullptr) types.push_back(&info);
    }
    return types;
}

/// Numbers in 32 bits before the codes.
std::size_t wide_numbers(TensorType type) {
    switch (type) {
        case TensorType::Q4_1_GGJT1:
        case TensorType::Q4_1_GGJT2: return 2;
        case TensorType::Q5_0_GGJT1:
        case TensorType::Q5_1_GGJT1: return 0;
        default: return 1;
    }
}

/// Random blocks; `number` gives scales and offsets.
template <typename Number>
std::vector<std::byte> random_blocks(const TypeInfo& info, std::size_t count, Number number) {
    std::mt19937 random(17);
    std::vector<std::byte> blocks(count * info.block_bytes);
    for (std::byte& b : blocks)
        b = static_cast<std::byte>(random() & 255U);
    for (std::size_t i = 0; i < count; ++i) {
        std::byte* block = blocks.data() + i * info.block_bytes;
        for (std::size_t n = 0; n < wide_numbers(info.type); ++n) {
            const float value = number(random());
            std::memcpy(block + 4 * n, &value, sizeof value);
        }
        // Of Q5_0 and Q5_1 the 16-bit numbers: finite.
        for (std::size_t n = 1; n < 4 && wide_numbers(info.type) == 0; n += 2)
            block[n] &= std::byte{0xbb};
    }
    return blocks;
}

TEST(EarlyTypes, NumbersThatFitAreKeptExactly) {
    ASSERT_EQ(early_types_of_the_registry().size(), 7U);
    for (const TypeInfo* info : early_types_of_the_registry()) {
        SCOPED_TRACE(info->name);
        const TypeInfo& today = type_info(info->successor);
        const auto blocks = random_blocks(*info, 64, [](std::uint32_t bits) {
            return static_cast<float>(static_cast<std::int32_t>(bits % 2047) - 1023) / 512.0F;
        });
        std::vector<std::byte> packed(64 * today.block_bytes);
        const Repacked result = info->repack(blocks.data(), packed.data(), 64 * width);
        EXPECT_EQ(result.largest_error, 0.0);
        EXPECT_EQ(result.first_lost, Repacked::none);
        EXPECT_EQ(decode(today.type, packed), decode(info->type, blocks));
    }
}

TEST(EarlyTypes, OtherNumbersAreRoundedToNearestAndTheLargestErrorIsTold) {
    for (const TypeInfo* info : early_types_of_the_registry()) {
        if (wide_numbers(info->type) == 0) continue;
        SCOPED_TRACE(info->name);
        const TypeInfo& today = type_info(info->successor);
        double expected = 0;
        const auto blocks = random_blocks(*info, 64, [&](std::uint32_t bits) {
            const float value = 0.01F + static_cast<float>(bits >> 8) * 0x1p-24F;
            // 11 bits of a float are as good as an f16 of this size.
            const double step = std::ldexp(1.0, std::ilogb(value) - 10);
            const double nearest = std::nearbyint(static_cast<double>(value) / step) * step;
            expected = std::max(expected, std::fabs(nearest - static_cast<double>(value)) / static_cast<double>(value));
            return value;
        });
        std::vector<std::byte> packed(64 * today.block_bytes);
        const Repacked result = info->repack(blocks.data(), packed.data(), 64 * width);
        EXPECT_EQ(result.largest_error, expected);
        EXPECT_GT(expected, 0.0);
        EXPECT_EQ(result.first_lost, Repacked::none);
    }
}

TEST(EarlyTypes, NumbersThat16BitsCannotHoldAreTold) {
    for (const TypeInfo* info : early_types_of_the_registry()) {
        if (wide_numbers(info->type) == 0) continue;
        for (const float bad : {65520.0F, -1e30F, INFINITY, NAN}) {
            SCOPED_TRACE(info->name);
            auto blocks = random_blocks(*info, 4, [](std::uint32_t) { return 0.5F; });
            std::memcpy(blocks.data() + 2 * info->block_bytes, &bad, sizeof bad);
            std::vector<std::byte> packed(4 * type_info(info->successor).block_bytes);
            EXPECT_EQ(info->repack(blocks.data(), packed.data(), 4 * width).first_lost, 2 * width) << bad;
        }
    }
}

}  // namespace
}  // namespace puna::quant
