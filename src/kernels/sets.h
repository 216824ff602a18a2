// The kernel sets of this build; callers go through `select_kernels`, which knows what the CPU can run.
#pragma once

#include "kernels/kernel_table.h"

namespace puna::kernels {

const KernelTable& generic_table();
#if defined(__x86_64__)
const KernelTable& avx2_table();
const KernelTable& avx512_table();
/// What the amx set has of its own; the other entries are null, and those of avx512.
const KernelTable& amx_entries();
#elif defined(__aarch64__)
const KernelTable& neon_table();
#endif

}  // namespace puna::kernels
