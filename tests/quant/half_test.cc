// The conversions of half.h, over every 16-bit value and around every rounding boundary.
#include "quant/half.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>

namespace puna::quant {
namespace {

#if defined(__aarch64__)
using CompilerHalf = __fp16;  // GCC 12 has _Float16 in C++ for x86 alone
#else
using CompilerHalf = _Float16;
#endif

constexpr std::uint32_t all_halves = 65536;

bool is_nan_half(std::uint32_t h) {
    return (h & 0x7fffu) > 0x7c00u;
}

/// The definition of binary16, in double: sign, 5 bits of exponent with bias 15, 10 bits of fraction.
double half_by_definition(std::uint32_t h) {
    const int exponent = static_cast<int>((h >> 10) & 31u);
    const int fraction = static_cast<int>(h & 1023u);
    const double magnitude = exponent == 31  ? (fraction ? NAN : INFINITY)
                             : exponent == 0 ? std::ldexp(fraction, -24)
                                             : std::ldexp(1024 + fraction, exponent - 25);
    return (h & 0x8000u) ? -magnitude : magnitude;
}

TEST(Half, WidensEveryValueAsDefined) {
    for (std::uint32_t h = 0; h < all_halves; ++h) {
        const float wide = f16_to_f32(static_cast<std::uint16_t>(h));
        if (is_nan_half(h)) {
            EXPECT_TRUE(std::isnan(wide)) << h;
            continue;
        }
        ASSERT_EQ(static_cast<double>(wide), half_by_definition(h)) << h;
        ASSERT_EQ(std::signbit(wide), (h & 0x8000u) != 0) << h;
    }
}

TEST(Half, WideningAndNarrowingIsTheIdentity) {
    for (std::uint32_t h = 0; h < all_halves; ++h) {
        const std::uint16_t back = f32_to_f16(f16_to_f32(static_cast<std::uint16_t>(h)));
        // A signalling NaN comes back quiet, with its payload.
        ASSERT_EQ(back, is_nan_half(h) ? (h | 0x0200u) : h);
    }
}

TEST(Half, NarrowsToNearestEvenAtEveryBoundary) {
    // 0x7bff to "0x7c00" is the step to infinity, whose boundary is 65,520.
    for (std::uint32_t h = 0; h < 0x7c00u; ++h) {
        const double low = half_by_definition(h);
        const double high = h == 0x7bffu ? 65536.0 : half_by_definition(h + 1);
        const auto middle = static_cast<float>((low + high) / 2);
        ASSERT_EQ(static_cast<double>(middle), (low + high) / 2);
        const std::uint32_t even = (h & 1u) ? h + 1 : h;
        for (const std::uint32_t sign : {0u, 0x8000u}) {
            const float s = sign ? -1.0f : 1.0f;
            ASSERT_EQ(f32_to_f16(s * middle), even | sign);
            ASSERT_EQ(f32_to_f16(s * std::nextafter(middle, 0.0f)), h | sign);
            ASSERT_EQ(f32_to_f16(s * std::nextafter(middle, 1e9f)), (h + 1) | sign);
        }
    }
}

TEST(Half, NarrowsTheExtremes) {
    EXPECT_EQ(f32_to_f16(std::numeric_limits<float>::max()), 0x7c00);
    EXPECT_EQ(f32_to_f16(-std::numeric_limits<float>::infinity()), 0xfc00);
    EXPECT_EQ(f32_to_f16(std::numeric_limits<float>::denorm_min()), 0);
    EXPECT_EQ(f32_to_f16(-std::numeric_limits<float>::denorm_min()), 0x8000);
    for (const std::uint32_t bits : {0x7f800001u, 0x7fc00000u, 0xff800001u, 0xffffffffu}) {
        EXPECT_TRUE(is_nan_half(f32_to_f16(std::bit_cast<float>(bits)))) << bits;
    }
}

#ifdef __FLT16_MANT_DIG__
// The compiler's own half type, an implementation that is not ours.
TEST(Half, AgreesWithTheCompiler) {
    for (std::uint32_t h = 0; h < all_halves; ++h) {
        if (is_nan_half(h)) continue;
        const auto theirs = static_cast<float>(std::bit_cast<CompilerHalf>(static_cast<std::uint16_t>(h)));
        ASSERT_EQ(std::bit_cast<std::uint32_t>(f16_to_f32(static_cast<std::uint16_t>(h))),
                  std::bit_cast<std::uint32_t>(theirs));
    }
    std::mt19937 random(7);
    for (int i = 0; i < 1'000'000; ++i) {
        const auto value = std::bit_cast<float>(static_cast<std::uint32_t>(random()));
        if (std::isnan(value)) continue;
        ASSERT_EQ(f32_to_f16(value), std::bit_cast<std::uint16_t>(static_cast<CompilerHalf>(value))) << value;
    }
}
#endif

TEST(BFloat16, WidensAndNarrowsEveryValue) {
    for (std::uint32_t h = 0; h < all_halves; ++h) {
        const float wide = bf16_to_f32(static_cast<std::uint16_t>(h));
        ASSERT_EQ(std::bit_cast<std::uint32_t>(wide), h << 16);
        ASSERT_EQ(f32_to_bf16(wide), std::isnan(wide) ? (h | 0x0040u) : h);
    }
}

TEST(BFloat16, NarrowsToNearestEvenAtEveryBoundary) {
    for (std::uint32_t h = 0; h < 0x7f80u; ++h) {
        const auto narrow = [&](std::uint32_t low) { return f32_to_bf16(std::bit_cast<float>((h << 16) | low)); };
        ASSERT_EQ(narrow(0x7fff), h);
        ASSERT_EQ(narrow(0x8000), (h & 1u) ? h + 1 : h);
        ASSERT_EQ(narrow(0x8001), h + 1);
    }
    EXPECT_EQ(f32_to_bf16(std::numeric_limits<float>::max()), 0x7f80);
    EXPECT_TRUE(std::isnan(bf16_to_f32(f32_to_bf16(std::bit_cast<float>(0x7f800001u)))));
    EXPECT_TRUE(std::isnan(bf16_to_f32(f32_to_bf16(std::bit_cast<float>(0x7fffffffu)))));
}

/// The definition of an 8-bit float, in double: sign, exponent, fraction.
double f8_by_definition(std::uint32_t bits, int fraction_bits, int bias) {
    const int exponent = static_cast<int>(bits & 0x7fu) >> fraction_bits;
    const int fraction = static_cast<int>(bits & 0x7fu) & ((1 << fraction_bits) - 1);
    const double magnitude = exponent == 0
                                 ? std::ldexp(fraction, 1 - bias - fraction_bits)
                                 : std::ldexp((1 << fraction_bits) + fraction, exponent - bias - fraction_bits);
    return (bits & 0x80u) ? -magnitude : magnitude;
}

TEST(F8, WidensEveryValueAsDefined) {
    for (std::uint32_t bits = 0; bits < 256; ++bits) {
        SCOPED_TRACE(bits);
        const float e4m3 = f8_e4m3_to_f32(static_cast<std::uint8_t>(bits));
        const float e5m2 = f8_e5m2_to_f32(static_cast<std::uint8_t>(bits));
        EXPECT_EQ(std::signbit(e4m3), bits >= 0x80);
        EXPECT_EQ(std::signbit(e5m2), bits >= 0x80);
        if ((bits & 0x7fu) == 0x7fu) {
            EXPECT_TRUE(std::isnan(e4m3));
        } else {
            EXPECT_EQ(e4m3, f8_by_definition(bits, 3, 7));
        }
        if ((bits & 0x7fu) > 0x7cu) {
            EXPECT_TRUE(std::isnan(e5m2));
        } else if ((bits & 0x7fu) == 0x7cu) {
            EXPECT_TRUE(std::isinf(e5m2));
        } else {
            EXPECT_EQ(e5m2, f8_by_definition(bits, 2, 15));
        }
    }
    EXPECT_EQ(f8_e4m3_to_f32(0x7e), 448.0f);
    EXPECT_EQ(f8_e5m2_to_f32(0x7b), 57344.0f);
}

TEST(E8M0, IsHalfOfAPowerOfTwo) {
    for (int e = 0; e < 256; ++e) {
        ASSERT_EQ(e8m0_half_to_f32(static_cast<std::uint8_t>(e)), std::ldexp(1.0f, e - 128)) << e;
    }
}

TEST(UE4M3, IsHalfOfE4M3WithoutASign) {
    for (int e = 0; e < 256; ++e) {
        const int exponent = (e >> 3) & 15;
        const int fraction = e & 7;
        const float value = exponent == 0 ? std::ldexp(static_cast<float>(fraction), -10)
                                          : std::ldexp(static_cast<float>(8 + fraction), exponent - 11);
        ASSERT_EQ(ue4m3_half_to_f32(static_cast<std::uint8_t>(e)), e == 127 ? 0.0f : value) << e;
    }
    EXPECT_EQ(ue4m3_half_to_f32(0x7e), 224.0f);
}

TEST(LittleEndian, LoadsAndStoresAtOddAddresses) {
    std::uint8_t bytes[4] = {0, 0, 0, 0};
    store_u16(bytes + 1, 0xa1b2);
    EXPECT_EQ(bytes[1], 0xb2);
    EXPECT_EQ(bytes[2], 0xa1);
    EXPECT_EQ(load_u16(bytes + 1), 0xa1b2);
    store_u16(bytes + 1, 0x3c00);
    EXPECT_EQ(load_f16(bytes + 1), 1.0f);
}

}  // namespace
}  // namespace puna::quant
