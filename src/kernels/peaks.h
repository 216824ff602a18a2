// Loops that do nothing but multiply and add, one for each kind of instruction, for `measure_multiply_peaks`.
//
// Each runs at least `steps` dependent steps on every accumulator, on the calling thread, and returns the multiply-adds
// that it did. Only the loops of instructions that the CPU has may be called (base/cpu.h).
#pragma once

#include <cstdint>

namespace puna::kernels {

using PeakLoop = std::uint64_t (*)(std::uint64_t steps);

/// Plain C++, as the compiler makes it for the baseline. Operands lie in the first-level cache.
std::uint64_t peak_float32_generic(std::uint64_t steps);
std::uint64_t peak_int16_generic(std::uint64_t steps);
std::uint64_t peak_int8_generic(std::uint64_t steps);

#if defined(__x86_64__)
std::uint64_t peak_float32_avx2(std::uint64_t steps);    // vfmadd
std::uint64_t peak_int16_avx2(std::uint64_t steps);      // vpmaddwd, vpaddd
std::uint64_t peak_int8_avx2(std::uint64_t steps);       // vpmaddubsw, vpmaddwd, vpaddd
std::uint64_t peak_int16_avx_vnni(std::uint64_t steps);  // vpdpwssd
std::uint64_t peak_int8_avx_vnni(std::uint64_t steps);   // vpdpbusd

std::uint64_t peak_float32_avx512(std::uint64_t steps);  // vfmadd
std::uint64_t peak_int16_avx512(std::uint64_t steps);    // vpdpwssd
std::uint64_t peak_int8_avx512(std::uint64_t steps);     // vpdpbusd
std::uint64_t peak_bf16_avx512(std::uint64_t steps);     // vdpbf16ps; AVX512-BF16 too

std::uint64_t peak_int8_amx(std::uint64_t steps);  // tdpbusd; AMX-INT8
std::uint64_t peak_bf16_amx(std::uint64_t steps);  // tdpbf16ps; AMX-BF16
#elif defined(__aarch64__)
std::uint64_t peak_float32_neon(std::uint64_t steps);  // fmla
std::uint64_t peak_int16_neon(std::uint64_t steps);    // smlal
std::uint64_t peak_int8_neon(std::uint64_t steps);     // smlal
#endif

}  // namespace puna::kernels
