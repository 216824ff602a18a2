// Single values of several rows gathered into a 128-bit register, by insertion: a round trip over the stack would wait
// for its stores. For the x86 sets; everything has internal linkage.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

namespace puna::kernels {
namespace {

template <typename T>
[[gnu::always_inline]] inline int value_at(const std::byte* p) {
    T value;
    __builtin_memcpy(&value, p, sizeof(T));
    return value;
}

/// Four bytes of each of four rows.
[[gnu::always_inline]] inline __m128i four_dwords(const std::byte* p, std::size_t stride) {
    using Dword = std::int32_t;
    __m128i rows = _mm_cvtsi32_si128(value_at<Dword>(p));
    rows = _mm_insert_epi32(rows, value_at<Dword>(p + stride), 1);
    rows = _mm_insert_epi32(rows, value_at<Dword>(p + 2 * stride), 2);
    return _mm_insert_epi32(rows, value_at<Dword>(p + 3 * stride), 3);
}

/// Two bytes of each of eight rows, in two chains of four.
[[gnu::always_inline]] inline __m128i eight_halves(const std::byte* p, std::size_t stride) {
    using Half = std::uint16_t;
    const auto four = [stride](const std::byte* first) {
        __m128i rows = _mm_cvtsi32_si128(value_at<Half>(first));
        rows = _mm_insert_epi16(rows, value_at<Half>(first + stride), 1);
        rows = _mm_insert_epi16(rows, value_at<Half>(first + 2 * stride), 2);
        return _mm_insert_epi16(rows, value_at<Half>(first + 3 * stride), 3);
    };
    return _mm_unpacklo_epi64(four(p), four(p + 4 * stride));
}

[[gnu::always_inline]] inline __m128i sixteen_bytes(const std::byte* p) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
}
/// Two pieces of eight bytes, or four of four.
[[gnu::always_inline]] inline __m128i joined(const std::uint64_t& a, const std::uint64_t& b) {
    const __m128i low = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(&a));
    return _mm_castps_si128(_mm_loadh_pi(_mm_castsi128_ps(low), reinterpret_cast<const __m64*>(&b)));
}
[[gnu::always_inline]] inline __m128i joined(const std::uint32_t& a, const std::uint32_t& b, const std::uint32_t& c,
                                             const std::uint32_t& d) {
    const auto piece = [](const std::uint32_t& x) { return static_cast<int>(x); };
    const __m128i two = _mm_insert_epi32(_mm_cvtsi32_si128(piece(a)), piece(b), 1);
    return _mm_unpacklo_epi64(two, _mm_insert_epi32(_mm_cvtsi32_si128(piece(c)), piece(d), 1));
}

}  // namespace
}  // namespace puna::kernels
