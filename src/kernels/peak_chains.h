// The loop that the peaks of the vector sets share. Everything is local to the translation unit that includes it, since
// each is compiled for another instruction set.
#pragma once

#include <cstdint>

#if defined(__aarch64__)
#define PUNA_VECTOR_REGISTER "w"
#else
#define PUNA_VECTOR_REGISTER "x"
#endif

namespace puna::kernels {
namespace {

/// `steps` times: each of `chains` independent accumulators takes one `Step::next(accumulator, a, b)`, enough of them
/// to hide the instruction's latency, all in registers. `Step::Vector` is the register's type, `Step::products` the
/// multiply-adds of one step.
template <int chains, typename Step>
std::uint64_t run_chains(std::uint64_t steps) {
    typename Step::Vector accumulators[chains] = {};
    typename Step::Vector a;
    typename Step::Vector b;
    // Bytes of an ordinary float, which also make ordinary integers: circuits that toggle, no denormals.
    __builtin_memset(&a, 0x3f, sizeof(a));
    __builtin_memset(&b, 0x3e, sizeof(b));
    for (std::uint64_t step = 0; step < steps; ++step) {
#pragma GCC unroll 16
        for (int chain = 0; chain < chains; ++chain) {
            // The compiler must not see that the product is always the same, nor leave an operand in memory.
            __asm__ volatile("" : "+" PUNA_VECTOR_REGISTER(a), "+" PUNA_VECTOR_REGISTER(b));
            accumulators[chain] = Step::next(accumulators[chain], a, b);
        }
    }
#pragma GCC unroll 16
    for (int chain = 0; chain < chains; ++chain)
        __asm__ volatile("" : : PUNA_VECTOR_REGISTER(accumulators[chain]));
    return steps * chains * Step::products;
}

}  // namespace
}  // namespace puna::kernels
