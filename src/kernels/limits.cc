#include "kernels/limits.h"

#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstring>

#include "base/cpu.h"
#include "base/large_pages.h"

namespace puna::kernels {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
}

/// Pages of zeros, in huge pages where the system gives them; null data if there is no memory.
class Buffer {
  public:
    explicit Buffer(std::size_t bytes) : bytes_(bytes) {
        void* address = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (address == MAP_FAILED) return;
        data_ = static_cast<std::byte*>(address);
        base::prefer_large_pages(address, bytes);
    }
    ~Buffer() {
        if (data_ != nullptr) munmap(data_, bytes_);
    }
    Buffer(const Buffer&) = delete;
    Buffer& operator=(const Buffer&) = delete;
    std::byte* data() const { return data_; }

  private:
    std::byte* data_ = nullptr;
    std::size_t bytes_;
};

constexpr std::size_t line_bytes = 64;
constexpr std::size_t max_streams = 4;

/// Eight times the last cache, within 256 MiB and 2 GiB, and never more than a quarter of the memory there is.
std::size_t bandwidth_buffer_bytes() {
    const std::uint64_t wanted =
        std::clamp<std::uint64_t>(8 * base::cache_sizes().l3, std::uint64_t{256} << 20, std::uint64_t{2} << 30);
    return static_cast<std::size_t>(std::min(wanted, base::available_memory() / 4));
}

/// Reads `bytes` (a multiple of max_streams * line_bytes) once, in `streams` places side by side.
template <std::size_t streams>
void read_once(const std::byte* data, std::size_t bytes) {
    using Vector [[gnu::vector_size(16), gnu::may_alias]] = std::uint64_t;
    const std::size_t stream_bytes = bytes / streams;
    Vector sums[streams] = {};
    for (std::size_t offset = 0; offset < stream_bytes; offset += line_bytes) {
        for (std::size_t stream = 0; stream < streams; ++stream) {
            const auto* line = reinterpret_cast<const Vector*>(data + stream * stream_bytes + offset);
            sums[stream] ^= (line[0] ^ line[1]) ^ (line[2] ^ line[3]);
        }
    }
    for (const Vector& sum : sums)
        __asm__ volatile("" : : "m"(sum));
}

struct PeakLoops {
    PeakLoop float32 = peak_float32_generic;
    PeakLoop int16 = peak_int16_generic;
    PeakLoop int8 = peak_int8_generic;
    PeakLoop bf16 = nullptr;
};

/// The loops of the fastest instructions that this CPU has for each type.
PeakLoops fastest_loops() {
    PeakLoops loops;
#if defined(__x86_64__)
    const base::CpuFeatures& cpu = base::cpu_features();
    if (cpu.avx2) loops = {peak_float32_avx2, peak_int16_avx2, peak_int8_avx2, nullptr};
    if (cpu.avx2 && cpu.avx_vnni) {
        loops.int16 = peak_int16_avx_vnni;
        loops.int8 = peak_int8_avx_vnni;
    }
    if (cpu.avx512 && cpu.avx512_vnni) loops = {peak_float32_avx512, peak_int16_avx512, peak_int8_avx512, nullptr};
    if (cpu.avx512 && cpu.avx512_vnni && cpu.avx512_bf16) loops.bf16 = peak_bf16_avx512;
    if (cpu.avx512 && cpu.amx_int8) loops.int8 = peak_int8_amx;  // compiled for AVX-512 beside AMX
    if (cpu.avx512 && cpu.amx_bf16) loops.bf16 = peak_bf16_amx;
#elif defined(__aarch64__)
    if (base::cpu_features().neon) loops = {peak_float32_neon, peak_int16_neon, peak_int8_neon, nullptr};
#endif
    return loops;
}

}  // namespace

double measure_loop(base::ThreadPool& pool, PeakLoop loop, double seconds) {
    if (loop == nullptr) return 0.0;
    const auto start = Clock::now();
    std::uint64_t steps = 1024;
    double best = 0.0;
    do {
        std::uint64_t products = 0;
        const auto pass_start = Clock::now();
        pool.run(pool.size(), [&](std::size_t index, std::size_t) {
            const std::uint64_t done = loop(steps);
            if (index == 0) products = done;
        });
        const double pass = seconds_since(pass_start);
        best = std::max(best, static_cast<double>(products) * static_cast<double>(pool.size()) / pass * 1e-9);
        if (pass < seconds / 8) steps *= 2;  // until waking the threads weighs nothing
    } while (seconds_since(start) < seconds);
    return best;
}

double measure_read_bandwidth(std::uint32_t threads, double seconds) {
    auto pool = base::ThreadPool::create(threads);
    if (!pool.ok()) return 0.0;
    constexpr std::size_t unit = max_streams * line_bytes;
    const std::size_t part_bytes = bandwidth_buffer_bytes() / threads / unit * unit;
    if (part_bytes == 0) return 0.0;
    const Buffer buffer(part_bytes * threads);
    if (buffer.data() == nullptr) return 0.0;
    const auto part = [&](std::size_t index) { return buffer.data() + index * part_bytes; };
    // Pages never written all map the same page of zeros, which would be read from the cache.
    (*pool)->run(threads, [&](std::size_t index, std::size_t) { std::memset(part(index), 1, part_bytes); });
    // Which is faster depends on the machine: several streams use more of the memory's banks, but streams that lie a
    // power of two apart compete for the same sets of a cache.
    const std::array readers = {read_once<1>, read_once<max_streams>};
    const auto start = Clock::now();
    double best = 0.0;
    std::size_t passes = 0;
    do {
        const auto read = readers[passes++ % readers.size()];
        const auto pass_start = Clock::now();
        (*pool)->run(threads, [&](std::size_t index, std::size_t) { read(part(index), part_bytes); });
        best = std::max(best, static_cast<double>(part_bytes * threads) / seconds_since(pass_start) * 1e-9);
    } while (seconds_since(start) < seconds);
    return best;
}

MultiplyPeaks measure_multiply_peaks(std::uint32_t threads, double seconds) {
    const PeakLoops loops = fastest_loops();  // before the pool: the first look at the CPU asks for AMX
    auto pool = base::ThreadPool::create(threads);
    if (!pool.ok()) return {};
    const double share = seconds / 4;
    return {.float32 = measure_loop(**pool, loops.float32, share),
            .int16 = measure_loop(**pool, loops.int16, share),
            .int8 = measure_loop(**pool, loops.int8, share),
            .bf16 = measure_loop(**pool, loops.bf16, share)};
}

}  // namespace puna::kernels
