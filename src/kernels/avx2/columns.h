// Single values of several rows gathered into a register. Neighbours are joined in general registers, which have
// nothing else to do: insertions would take the ports of the products, a round trip over the stack would wait for its
// stores. For the x86 sets; everything has internal linkage.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

namespace puna::kernels {
namespace {

/// `Count` rows, `stride` bytes apart.
template <int Count>
class Rows {
  public:
    [[gnu::always_inline]] Rows(const std::byte* base, std::size_t stride) : stride_(stride) {
        // No loop: GCC would keep the array in memory as well.
        fours_[0] = kept(base);
        fours_[1] = kept(fours_[0] + 4 * stride);
        if constexpr (Count == 16) {
            fours_[2] = kept(fours_[1] + 4 * stride);
            fours_[3] = kept(fours_[2] + 4 * stride);
        }
    }
    [[gnu::always_inline]] const std::byte* at(std::size_t row) const { return fours_[row / 4] + row % 4 * stride_; }
    /// The first bytes of a row.
    template <typename T>
    [[gnu::always_inline]] std::uint64_t value(std::size_t row) const {
        T value;
        __builtin_memcpy(&value, at(row), sizeof(T));
        return value;
    }

  private:
    /// An address that is kept in a register: else GCC keeps sixteen offsets, in vector registers, instead of four
    /// addresses.
    [[gnu::always_inline]] static const std::byte* kept(const std::byte* address) {
        __asm__("" : "+r"(address));
        return address;
    }

    const std::byte* fours_[Count / 4];  // rows 0, 4, ...
    std::size_t stride_;
};

/// Sixteen bytes from two general registers; `joined` takes them from memory.
[[gnu::always_inline]] inline __m128i register_of(std::uint64_t low, std::uint64_t high) {
    return _mm_insert_epi64(_mm_cvtsi64_si128(static_cast<long long>(low)), static_cast<long long>(high), 1);
}

[[gnu::always_inline]] inline __m256i eights(__m128i low, __m128i high) {
    return _mm256_inserti128_si256(_mm256_castsi128_si256(low), high, 1);
}

/// Four bytes of each of four rows.
template <int Count>
[[gnu::always_inline]] inline __m128i four_dwords(const Rows<Count>& rows, std::size_t first) {
    const auto two = [&](std::size_t row) __attribute__((always_inline)) {
        return rows.template value<std::uint32_t>(row) | rows.template value<std::uint32_t>(row + 1) << 32;
    };
    return register_of(two(first), two(first + 2));
}

/// Two bytes of each of eight rows.
template <int Count>
[[gnu::always_inline]] inline __m128i eight_halves(const Rows<Count>& rows, std::size_t first) {
    const auto half = [&](std::size_t row, int at)
                          __attribute__((always_inline)) { return rows.template value<std::uint16_t>(row) << 16 * at; };
    const auto four = [&](std::size_t row) __attribute__((always_inline)) {
        return half(row, 0) | half(row + 1, 1) | half(row + 2, 2) | half(row + 3, 3);
    };
    return register_of(four(first), four(first + 4));
}

[[gnu::always_inline]] inline __m128i sixteen_bytes(const std::byte* p) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
}
/// Two pieces of eight bytes, or four of four.
[[gnu::always_inline]] inline __m128i joined(const std::uint64_t& a, const std::uint64_t& b) {
    const __m128i low = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(&a));
    return _mm_castps_si128(_mm_loadh_pi(_mm_castsi128_ps(low), reinterpret_cast<const __m64*>(&b)));
}
[[gnu::always_inline]] inline __m128i joined(const std::uint32_t& a, const std::uint32_t& b, const std::uint32_t& c,
                                             const std::uint32_t& d) {
    const auto piece = [](const std::uint32_t& x) { return static_cast<int>(x); };
    const __m128i two = _mm_insert_epi32(_mm_cvtsi32_si128(piece(a)), piece(b), 1);
    return _mm_unpacklo_epi64(two, _mm_insert_epi32(_mm_cvtsi32_si128(piece(c)), piece(d), 1));
}

}  // namespace
}  // namespace puna::kernels
