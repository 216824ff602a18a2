// The shell of the avx2 set: the generic algorithms over its primitives.
#include "kernels/algorithms/kernel_set.h"
#include "kernels/avx2/lanes.h"
#include "kernels/sets.h"

namespace puna::kernels {

const KernelTable& avx2_table() {
    static constexpr KernelTable table = algorithms::make_table<Avx2>("avx2");
    return table;
}

}  // namespace puna::kernels
