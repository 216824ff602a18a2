#include "kernels/peaks.h"

#include <arm_neon.h>

#include "kernels/peak_chains.h"

namespace puna::kernels {
namespace {

constexpr int chains = 16;  // of 32 registers, beside operands

struct Float32 {
    using Vector = float32x4_t;
    static constexpr int products = 4;
    static Vector next(Vector sum, Vector a, Vector b) { return vfmaq_f32(sum, a, b); }
};

struct Int16 {
    using Vector = int32x4_t;
    static constexpr int products = 4;
    static Vector next(Vector sum, Vector a, Vector b) {
        return vmlal_high_s16(sum, vreinterpretq_s16_s32(a), vreinterpretq_s16_s32(b));
    }
};

struct Int8 {
    using Vector = int16x8_t;
    static constexpr int products = 8;
    static Vector next(Vector sum, Vector a, Vector b) {
        return vmlal_high_s8(sum, vreinterpretq_s8_s16(a), vreinterpretq_s8_s16(b));
    }
};

}  // namespace

std::uint64_t peak_float32_neon(std::uint64_t steps) {
    return run_chains<chains, Float32>(steps);
}
std::uint64_t peak_int16_neon(std::uint64_t steps) {
    return run_chains<chains, Int16>(steps);
}
std::uint64_t peak_int8_neon(std::uint64_t steps) {
    return run_chains<chains, Int8>(steps);
}

}  // namespace puna::kernels
