#include "kernels/instruction_peaks.h"

#include "kernels/limits.h"
#include "kernels/sets.h"

namespace puna::kernels {
namespace {

constexpr double loop_seconds = 0.1;

Instruction generic_instruction(Activations activations) {
    switch (activations) {
        case Activations::int16: return {"C++, int16", peak_int16_generic};
        case Activations::int8: return {"C++, int8", peak_int8_generic};
        default: return {"C++, float32", peak_float32_generic};
    }
}

#if defined(__x86_64__)
Instruction avx2_instruction(Activations activations) {
    switch (activations) {
        case Activations::int16: return {"vpmaddwd", peak_int16_avx2};
        case Activations::int8: return {"vpmaddubsw", peak_int8_avx2};
        default: return {"vfmadd, 256 bits", peak_float32_avx2};
    }
}

Instruction avx512_instruction(Activations activations) {
    switch (activations) {
        case Activations::int16: return {"vpdpbusd twice", peak_int8_avx512, 2};
        case Activations::int8: return {"vpdpbusd", peak_int8_avx512};
        case Activations::float32: return {"vfmadd, 512 bits", peak_float32_avx512};
        default: return {"vdpbf16ps", peak_bf16_avx512};
    }
}

Instruction amx_instruction(Activations activations, std::int64_t rows) {
    switch (activations) {
        case Activations::int16:
            if (rows > amx_vector_rows) return {"tdpbusd twice", peak_int8_amx, 2};
            break;
        case Activations::int8:
            if (rows > amx_vector_rows) return {"tdpbusd", peak_int8_amx};
            break;
        case Activations::float32: break;
        default: return {"tdpbf16ps", peak_bf16_amx};
    }
    return avx512_instruction(activations);
}
#elif defined(__aarch64__)
Instruction neon_instruction(Activations activations) {
    switch (activations) {
        case Activations::int16: return {"smlal, 16 bits", peak_int16_neon};
        case Activations::int8: return {"smlal, 8 bits", peak_int8_neon};
        default: return {"fmla", peak_float32_neon};
    }
}
#endif

}  // namespace

Instruction instruction_of(const KernelTable& set, Activations activations, [[maybe_unused]] std::int64_t rows) {
    if (set.name == "generic") return generic_instruction(activations);
#if defined(__x86_64__)
    if (set.name == "avx2") return avx2_instruction(activations);
    if (set.name == "avx512") return avx512_instruction(activations);
    if (set.name == "amx") return amx_instruction(activations, rows);
#elif defined(__aarch64__)
    if (set.name == "neon") return neon_instruction(activations);
#endif
    return {};
}

double InstructionPeaks::gmac_s(const Instruction& instruction) {
    if (instruction.loop == nullptr) return 0;
    const auto [entry, is_new] = measured_.try_emplace(instruction.loop, 0.0);
    if (is_new) entry->second = measure_loop(pool_, instruction.loop, loop_seconds);
    return entry->second / instruction.passes;
}

}  // namespace puna::kernels
