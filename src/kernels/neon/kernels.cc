// The shell of the neon set: the generic algorithms over its primitives.
#include "kernels/algorithms/kernel_set.h"
#include "kernels/neon/lanes.h"
#include "kernels/sets.h"

namespace puna::kernels {

const KernelTable& neon_table() {
    static constexpr KernelTable table = algorithms::make_table<Neon>("neon");
    return table;
}

}  // namespace puna::kernels
