#include "cli/instruction_peaks.h"

#include <algorithm>
#include <chrono>

namespace puna::cli {
namespace {

using kernels::Activations;

Instruction generic_instruction(Activations activations) {
    switch (activations) {
        case Activations::int16: return {"C++, int16", kernels::peak_int16_generic};
        case Activations::int8: return {"C++, int8", kernels::peak_int8_generic};
        default: return {"C++, float32", kernels::peak_float32_generic};
    }
}

#if defined(__x86_64__)
Instruction avx2_instruction(Activations activations) {
    switch (activations) {
        case Activations::int16: return {"vpmaddwd", kernels::peak_int16_avx2};
        case Activations::int8: return {"vpmaddubsw", kernels::peak_int8_avx2};
        default: return {"vfmadd, 256 bits", kernels::peak_float32_avx2};
    }
}

Instruction avx512_instruction(Activations activations) {
    switch (activations) {
        case Activations::int16: return {"vpdpbusd twice", kernels::peak_int8_avx512, 2};
        case Activations::int8: return {"vpdpbusd", kernels::peak_int8_avx512};
        case Activations::float32: return {"vfmadd, 512 bits", kernels::peak_float32_avx512};
        default: return {"vdpbf16ps", kernels::peak_bf16_avx512};
    }
}

Instruction amx_instruction(Activations activations, std::int64_t rows) {
    constexpr std::int64_t few = 4;  // up to which the set multiplies integers by vectors
    switch (activations) {
        case Activations::int16:
            if (rows > few) return {"tdpbusd twice", kernels::peak_int8_amx, 2};
            break;
        case Activations::int8:
            if (rows > few) return {"tdpbusd", kernels::peak_int8_amx};
            break;
        case Activations::float32: break;
        default: return {"tdpbf16ps", kernels::peak_bf16_amx};
    }
    return avx512_instruction(activations);
}
#elif defined(__aarch64__)
Instruction neon_instruction(Activations activations) {
    switch (activations) {
        case Activations::int16: return {"smlal, 16 bits", kernels::peak_int16_neon};
        case Activations::int8: return {"smlal, 8 bits", kernels::peak_int8_neon};
        default: return {"fmla", kernels::peak_float32_neon};
    }
}
#endif

}  // namespace

Instruction instruction_of(const kernels::KernelTable& set, Activations activations,
                           [[maybe_unused]] std::int64_t rows) {
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
    if (is_new) {
        // Steps double until a pass is long beside the waking of the threads; the best of several passes counts.
        using Clock = std::chrono::steady_clock;
        constexpr double long_pass = 0.01;  // seconds
        std::uint64_t steps = 1024;
        for (int long_passes = 0; long_passes < 10;) {
            std::uint64_t products = 0;
            const auto start = Clock::now();
            pool_.run(pool_.size(), [&](std::size_t index, std::size_t) {
                const std::uint64_t done = instruction.loop(steps);
                if (index == 0) products = done;
            });
            const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
            const double all = static_cast<double>(products) * static_cast<double>(pool_.size());
            entry->second = std::max(entry->second, all / seconds * 1e-9);
            if (seconds < long_pass) {
                steps *= 2;
            } else {
                ++long_passes;
            }
        }
    }
    return entry->second / instruction.passes;
}

}  // namespace puna::cli
