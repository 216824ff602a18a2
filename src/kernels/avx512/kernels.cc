// The shell of the avx512 set: the generic algorithms over its primitives.
#include "kernels/algorithms/kernel_set.h"
#include "kernels/avx512/lanes.h"
#include "kernels/sets.h"

namespace puna::kernels {

const KernelTable& avx512_table() {
    static constexpr KernelTable table = algorithms::make_table<Avx512>("avx512");
    return table;
}

}  // namespace puna::kernels
