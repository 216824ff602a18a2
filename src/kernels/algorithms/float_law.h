// The float32 law over vector lanes: the same operations, in the same order, as generic/float_law.h.
//
// L is a set's primitives (avx2/lanes.h); it has internal linkage, and so has all that is made from it.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/kernel_table.h"

namespace puna::kernels::algorithms {

inline constexpr std::int64_t lanes = 16;

/// Where floats come from: a float is read as it is, a uint16_t is an f16, a Bf16 a bfloat16.
struct Bf16 {
    std::uint16_t bits;
};

template <typename L>
typename L::F load(const float* p) {
    return L::load(p);
}
template <typename L>
typename L::F load(const std::uint16_t* p) {
    return L::from_f16(p);
}
template <typename L>
typename L::F load(const Bf16* p) {
    return L::from_bf16(&p->bits);
}

/// The first `count` elements, then zeros: out [lanes].
template <typename T>
void copy_partial(const T* p, std::int64_t count, T* out) {
    for (std::int64_t i = 0; i < lanes; ++i)
        out[i] = i < count ? p[i] : T{};
}

template <typename L, typename T>
typename L::F load_partial(const T* p, std::int64_t count) {
    T padded[lanes];
    copy_partial(p, count, padded);
    return load<L>(padded);
}

template <typename L>
void store_partial(float* p, typename L::F value, std::int64_t count) {
    float padded[lanes];
    L::store(padded, value);
    for (std::int64_t i = 0; i < count; ++i)
        p[i] = padded[i];
}

/// e^x; see generic::exponential.
template <typename L>
typename L::F exponential(typename L::F x) {
    using F = typename L::F;
    const F capped = L::min(x, L::set(88.0F));
    const F n = L::round(L::mul(capped, L::set(1.44269504F)));
    F r = L::fma(n, L::set(-0.693359375F), capped);
    r = L::fma(n, L::set(2.12194440e-4F), r);
    F p = L::set(1.0F / 5040.0F);
    p = L::fma(p, r, L::set(1.0F / 720.0F));
    p = L::fma(p, r, L::set(1.0F / 120.0F));
    p = L::fma(p, r, L::set(1.0F / 24.0F));
    p = L::fma(p, r, L::set(1.0F / 6.0F));
    p = L::fma(p, r, L::set(0.5F));
    p = L::fma(p, r, L::set(1.0F));
    p = L::fma(p, r, L::set(1.0F));
    const auto shifted = L::add_int(L::bits_of(p), L::shift_left(L::to_int(n), 23));
    return L::replace_below(x, L::set(-87.0F), L::set(0.0F), L::float_from_bits(shifted));
}

template <typename L>
void rms_norm(const float* x, const float* weight, float eps, std::int64_t n, float* y) {
    auto sum = L::set(0.0F);
    const std::int64_t whole = n / lanes * lanes;
    for (std::int64_t i = 0; i < whole; i += lanes) {
        const auto v = L::load(x + i);
        sum = L::fma(v, v, sum);
    }
    if (whole < n) {
        const auto v = load_partial<L>(x + whole, n - whole);
        sum = L::fma(v, v, sum);
    }
    const float mean = L::reduce_add(sum) / static_cast<float>(n);
    const float scale = 1.0F / __builtin_sqrtf(mean + eps);
    for (std::int64_t i = 0; i < n; ++i)
        y[i] = (x[i] * scale) * weight[i];
}

template <typename L>
void silu_multiply(float* gate, const float* up, std::int64_t n) {
    const auto silu_times = [](typename L::F g, typename L::F u) {
        const auto one = L::set(1.0F);
        const auto negative = L::sub(L::set(-0.0F), g);
        return L::mul(L::div(g, L::add(one, exponential<L>(negative))), u);
    };
    const std::int64_t whole = n / lanes * lanes;
    for (std::int64_t i = 0; i < whole; i += lanes)
        L::store(gate + i, silu_times(L::load(gate + i), L::load(up + i)));
    if (whole < n) {
        const std::int64_t rest = n - whole;
        store_partial<L>(gate + whole,
                         silu_times(load_partial<L>(gate + whole, rest), load_partial<L>(up + whole, rest)), rest);
    }
}

// Element by element, in any width: the compiler's own vectors give the same bits.

template <typename L>
void add(float* y, const float* x, std::int64_t n) {
    for (std::int64_t i = 0; i < n; ++i)
        y[i] += x[i];
}

template <typename L>
void rope(float* x, std::int64_t heads, std::int64_t head_dim, std::int64_t rotated, const float* cosines,
          const float* sines, bool interleaved) {
    const std::int64_t half = rotated / 2;
    const std::int64_t step = interleaved ? 2 : 1;
    const std::int64_t second_at = interleaved ? 1 : half;
    for (std::int64_t h = 0; h < heads; ++h, x += head_dim) {
        float first[max_head_dim / 2];
        float second[max_head_dim / 2];
        for (std::int64_t i = 0; i < half; ++i) {
            const float a = x[i * step];
            const float b = x[i * step + second_at];
            first[i] = __builtin_fmaf(a, cosines[i], -(b * sines[i]));
            second[i] = __builtin_fmaf(a, sines[i], b * cosines[i]);
        }
        __builtin_memcpy(x, first, static_cast<std::size_t>(half) * sizeof(float));
        __builtin_memcpy(x + half, second, static_cast<std::size_t>(half) * sizeof(float));
    }
}

}  // namespace puna::kernels::algorithms
