// A 16 x 16 transposition in registers. For the shells of AVX-512 sets only.
#pragma once

#include <immintrin.h>

#include "kernels/algorithms/inline.h"

namespace puna::kernels {
namespace {

/// A matrix of 16 x 16 dwords, turned: 64 shuffles.
PUNA_INLINE void transpose(__m512 (&rows)[16]) {
    __m512 pairs[16];
    for (int i = 0; i < 16; i += 2) {
        pairs[i] = _mm512_unpacklo_ps(rows[i], rows[i + 1]);
        pairs[i + 1] = _mm512_unpackhi_ps(rows[i], rows[i + 1]);
    }
    __m512 fours[16];  // [4 i + c]: column c of each 128 bits, of rows 4 i ... 4 i + 3
    for (int i = 0; i < 16; i += 4) {
        for (int c = 0; c < 2; ++c) {
            const __m512d a = _mm512_castps_pd(pairs[i + c]);
            const __m512d b = _mm512_castps_pd(pairs[i + 2 + c]);
            fours[i + 2 * c] = _mm512_castpd_ps(_mm512_unpacklo_pd(a, b));
            fours[i + 2 * c + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(a, b));
        }
    }
    for (int c = 0; c < 4; ++c) {
        const __m512 even_low = _mm512_shuffle_f32x4(fours[c], fours[4 + c], 0x88);
        const __m512 even_high = _mm512_shuffle_f32x4(fours[8 + c], fours[12 + c], 0x88);
        const __m512 odd_low = _mm512_shuffle_f32x4(fours[c], fours[4 + c], 0xdd);
        const __m512 odd_high = _mm512_shuffle_f32x4(fours[8 + c], fours[12 + c], 0xdd);
        rows[c] = _mm512_shuffle_f32x4(even_low, even_high, 0x88);
        rows[4 + c] = _mm512_shuffle_f32x4(odd_low, odd_high, 0x88);
        rows[8 + c] = _mm512_shuffle_f32x4(even_low, even_high, 0xdd);
        rows[12 + c] = _mm512_shuffle_f32x4(odd_low, odd_high, 0xdd);
    }
}

}  // namespace
}  // namespace puna::kernels
