#include "kernels/peaks.h"

#include <immintrin.h>

#include "kernels/peak_chains.h"

namespace puna::kernels {
namespace {

constexpr int chains = 12;  // of 16 registers, beside operands and one for what lies between two instructions

struct Float32 {
    using Vector = __m256;
    static constexpr int products = 8;
    static Vector next(Vector sum, Vector a, Vector b) { return _mm256_fmadd_ps(a, b, sum); }
};

struct Int16 {
    using Vector = __m256i;
    static constexpr int products = 16;
    static Vector next(Vector sum, Vector a, Vector b) { return _mm256_add_epi32(sum, _mm256_madd_epi16(a, b)); }
};

struct Int8 {
    using Vector = __m256i;
    static constexpr int products = 32;
    static Vector next(Vector sum, Vector a, Vector b) {
        const Vector pairs = _mm256_maddubs_epi16(a, b);
        return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
    }
};

// AVX-VNNI by name in assembly: the set's flags do not hold it.
struct Int16Vnni {
    using Vector = __m256i;
    static constexpr int products = 16;
    static Vector next(Vector sum, Vector a, Vector b) {
        __asm__("%{vex%} vpdpwssd %2, %1, %0" : "+x"(sum) : "x"(a), "x"(b));
        return sum;
    }
};

struct Int8Vnni {
    using Vector = __m256i;
    static constexpr int products = 32;
    static Vector next(Vector sum, Vector a, Vector b) {
        __asm__("%{vex%} vpdpbusd %2, %1, %0" : "+x"(sum) : "x"(a), "x"(b));
        return sum;
    }
};

}  // namespace

std::uint64_t peak_float32_avx2(std::uint64_t steps) {
    return run_chains<chains, Float32>(steps);
}
std::uint64_t peak_int16_avx2(std::uint64_t steps) {
    return run_chains<chains, Int16>(steps);
}
std::uint64_t peak_int8_avx2(std::uint64_t steps) {
    return run_chains<chains, Int8>(steps);
}
std::uint64_t peak_int16_avx_vnni(std::uint64_t steps) {
    return run_chains<chains, Int16Vnni>(steps);
}
std::uint64_t peak_int8_avx_vnni(std::uint64_t steps) {
    return run_chains<chains, Int8Vnni>(steps);
}

}  // namespace puna::kernels
