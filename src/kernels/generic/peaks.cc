#include "kernels/peaks.h"

namespace puna::kernels {
namespace {

constexpr int width = 1024;  // elements of an operand: a few KiB

/// `steps` sums of products over two operands of `width`; the compiler is free to vectorize the integer types, and the
/// 16 lanes of the float type.
template <typename Element, typename Sum, int lanes>
std::uint64_t run_dots(std::uint64_t steps) {
    alignas(64) Element a[width];
    alignas(64) Element b[width];
    for (int i = 0; i < width; ++i) {
        a[i] = static_cast<Element>(i % 7 - 3);
        b[i] = static_cast<Element>(i % 5 - 2);
    }
    Sum sums[lanes] = {};
    for (std::uint64_t step = 0; step < steps; ++step) {
        __asm__ volatile("" : : "r"(a), "r"(b) : "memory");  // the operands may have changed
        Sum sum[lanes] = {};
        for (int i = 0; i < width; i += lanes) {
            for (int lane = 0; lane < lanes; ++lane) {
                sum[lane] += static_cast<Sum>(a[i + lane]) * static_cast<Sum>(b[i + lane]);
            }
        }
        for (int lane = 0; lane < lanes; ++lane)
            sums[lane] += sum[lane];
    }
    __asm__ volatile("" : : "r"(sums) : "memory");
    return steps * width;
}

}  // namespace

std::uint64_t peak_float32_generic(std::uint64_t steps) {
    return run_dots<float, float, 16>(steps);
}
std::uint64_t peak_int16_generic(std::uint64_t steps) {
    return run_dots<std::int16_t, std::int32_t, 1>(steps);
}
std::uint64_t peak_int8_generic(std::uint64_t steps) {
    return run_dots<std::int8_t, std::int32_t, 1>(steps);
}

}  // namespace puna::kernels
