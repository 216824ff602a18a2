// The kernel sets of this build; callers go through `select_kernels`, which knows what the CPU can run.
#pragma once

#include <cstdint>

#include "kernels/kernel_table.h"

namespace puna::kernels {

const KernelTable& generic_table();
#if defined(__x86_64__)
const KernelTable& avx2_table();
const KernelTable& avx512_table();
/// What avx512 has of its own on a CPU with AVX512-BF16 and GFNI; the other entries are null.
const KernelTable& avx512_bf16_entries();
/// Up to this many rows of activations amx multiplies integers as avx512 does: they are bound by reading the weights,
/// at which vectors are better.
inline constexpr std::int64_t amx_vector_rows = 4;
/// What the amx set has of its own; the other entries are null, and those of avx512.
const KernelTable& amx_entries();
#elif defined(__aarch64__)
const KernelTable& neon_table();
#endif

}  // namespace puna::kernels
