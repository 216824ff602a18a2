// The measured limits are there and make sense; how fast the machine is, is not asserted.
#include "kernels/limits.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string_view>
#include <vector>

#include "base/cpu.h"
#include "kernels/peaks.h"

namespace puna::kernels {
namespace {

struct NamedLoop {
    std::string_view name;
    PeakLoop loop;
};

/// Every loop that this CPU can run.
std::vector<NamedLoop> runnable_loops() {
    std::vector<NamedLoop> loops = {{"float32 generic", peak_float32_generic},
                                    {"int16 generic", peak_int16_generic},
                                    {"int8 generic", peak_int8_generic}};
#if defined(__x86_64__)
    const base::CpuFeatures& cpu = base::cpu_features();
    const auto add = [&](bool available, std::string_view name, PeakLoop loop) {
        if (available) loops.push_back({name, loop});
    };
    const bool avx512 = cpu.avx512 && cpu.avx512_vnni;
    add(cpu.avx2, "float32 avx2", peak_float32_avx2);
    add(cpu.avx2, "int16 avx2", peak_int16_avx2);
    add(cpu.avx2, "int8 avx2", peak_int8_avx2);
    add(cpu.avx2 && cpu.avx_vnni, "int16 avx-vnni", peak_int16_avx_vnni);
    add(cpu.avx2 && cpu.avx_vnni, "int8 avx-vnni", peak_int8_avx_vnni);
    add(avx512, "float32 avx512", peak_float32_avx512);
    add(avx512, "int16 avx512", peak_int16_avx512);
    add(avx512, "int8 avx512", peak_int8_avx512);
    add(avx512 && cpu.avx512_bf16, "bf16 avx512", peak_bf16_avx512);
    add(cpu.amx_tile && cpu.amx_int8, "int8 amx", peak_int8_amx);
    add(cpu.amx_tile && cpu.amx_bf16, "bf16 amx", peak_bf16_amx);
#elif defined(__aarch64__)
    loops.insert(loops.end(),
                 {{"float32 neon", peak_float32_neon}, {"int16 neon", peak_int16_neon}, {"int8 neon", peak_int8_neon}});
#endif
    return loops;
}

TEST(Limits, PeakLoopsCountWhatTheyDo) {
    for (const auto& [name, loop] : runnable_loops()) {
        SCOPED_TRACE(name);
        EXPECT_EQ(loop(0), 0u);
        const std::uint64_t one = loop(1);
        EXPECT_GT(one, 0u);
        EXPECT_EQ(loop(100), 100 * one);
    }
}

TEST(Limits, BandwidthIsMeasured) {
    for (const std::uint32_t threads : {1u, 2u, 3u}) {
        const double bandwidth = measure_read_bandwidth(threads, 0.01);
        EXPECT_TRUE(std::isfinite(bandwidth));
        EXPECT_GT(bandwidth, 0.0) << threads;
    }
}

TEST(Limits, PeaksAreMeasured) {
    for (const std::uint32_t threads : {1u, 2u}) {
        const MultiplyPeaks peaks = measure_multiply_peaks(threads, 0.02);
        EXPECT_GT(peaks.float32, 0.0);
        EXPECT_GT(peaks.int16, 0.0);
        EXPECT_GT(peaks.int8, 0.0);
        const base::CpuFeatures& cpu = base::cpu_features();
        const bool has_bf16 = cpu.amx_bf16 || (cpu.avx512 && cpu.avx512_vnni && cpu.avx512_bf16);
        EXPECT_EQ(peaks.bf16 > 0.0, has_bf16);
    }
}

TEST(Limits, WithoutThreadsThereIsNothingToMeasure) {
    EXPECT_EQ(measure_read_bandwidth(0), 0.0);
    EXPECT_EQ(measure_read_bandwidth(1'000'000), 0.0);
    EXPECT_EQ(measure_multiply_peaks(0).float32, 0.0);
    EXPECT_EQ(measure_multiply_peaks(1'000'000).int8, 0.0);
}

}  // namespace
}  // namespace puna::kernels
