#include "kernels/peaks.h"

#include <immintrin.h>

#include "kernels/peak_chains.h"

namespace puna::kernels {
namespace {

constexpr int chains = 16;  // of 32 registers; latency 4 at up to two instructions a cycle, 5 or 6 for some

struct Float32 {
    using Vector = __m512;
    static constexpr int products = 16;
    static Vector next(Vector sum, Vector a, Vector b) { return _mm512_fmadd_ps(a, b, sum); }
};

struct Int16 {
    using Vector = __m512i;
    static constexpr int products = 32;
    static Vector next(Vector sum, Vector a, Vector b) { return _mm512_dpwssd_epi32(sum, a, b); }
};

struct Int8 {
    using Vector = __m512i;
    static constexpr int products = 64;
    static Vector next(Vector sum, Vector a, Vector b) { return _mm512_dpbusd_epi32(sum, a, b); }
};

struct BFloat16 {
    using Vector = __m512;
    static constexpr int products = 32;
    // By its name in assembly: the set's flags do not hold AVX512-BF16.
    static Vector next(Vector sum, Vector a, Vector b) {
        __asm__("vdpbf16ps %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b));
        return sum;
    }
};

}  // namespace

std::uint64_t peak_float32_avx512(std::uint64_t steps) {
    return run_chains<chains, Float32>(steps);
}
std::uint64_t peak_int16_avx512(std::uint64_t steps) {
    return run_chains<chains, Int16>(steps);
}
std::uint64_t peak_int8_avx512(std::uint64_t steps) {
    return run_chains<chains, Int8>(steps);
}
std::uint64_t peak_bf16_avx512(std::uint64_t steps) {
    return run_chains<chains, BFloat16>(steps);
}

}  // namespace puna::kernels
