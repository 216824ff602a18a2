// Prepared activations in 32 bytes a register: integers of 16 bits, and their two planes of bytes, 256 x high + low.
//
// For the shells of the x86 sets only; everything has internal linkage.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

namespace puna::kernels {
namespace {

/// What AVX2 packs by halves of a register, in order.
[[gnu::always_inline]] inline __m256i in_order(__m256i packed) {
    return _mm256_permute4x64_epi64(packed, 0b11011000);
}

/// Sixteen integers as 16 bits each.
[[gnu::always_inline]] inline __m256i words(const std::int32_t* q) {
    const auto* eight = reinterpret_cast<const __m256i*>(q);
    return in_order(_mm256_packs_epi32(_mm256_loadu_si256(eight), _mm256_loadu_si256(eight + 1)));
}

/// The low bytes of 32 words: as signed bytes, their low plane.
[[gnu::always_inline]] inline __m256i low_plane(__m256i first, __m256i second) {
    const __m256i low = _mm256_set1_epi16(0x00ff);
    return in_order(_mm256_packus_epi16(_mm256_and_si256(first, low), _mm256_and_si256(second, low)));
}

/// What is left without the low plane, of words up to 32,639: low bytes are at least -128.
[[gnu::always_inline]] inline __m256i high_plane(__m256i first, __m256i second) {
    const __m256i most_below = _mm256_set1_epi16(128);
    return in_order(_mm256_packs_epi16(_mm256_srai_epi16(_mm256_add_epi16(first, most_below), 8),
                                       _mm256_srai_epi16(_mm256_add_epi16(second, most_below), 8)));
}

}  // namespace
}  // namespace puna::kernels
