#include "base/cpu.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <algorithm>
#include <set>
#include <sstream>

#include "base/cpu_detail.h"
#include "base/temporary_folder.h"

namespace puna::base {
namespace {

#if defined(__x86_64__)
/// The kernel's own view, which leaves out what it does not save.
std::set<std::string> kernel_flags() {
    std::istringstream lines(content_of("/proc/cpuinfo"));
    for (std::string line; std::getline(lines, line);) {
        if (!line.starts_with("flags")) continue;
        std::istringstream words(line.substr(line.find(':') + 1));
        std::set<std::string> flags;
        for (std::string word; words >> word;)
            flags.insert(word);
        return flags;
    }
    ADD_FAILURE() << "no flags in /proc/cpuinfo";
    return {};
}

TEST(CpuFeatures, AgreeWithTheKernel) {
    const auto flags = kernel_flags();
    const auto all = [&](std::initializer_list<const char*> names) {
        return std::all_of(names.begin(), names.end(), [&](const char* name) { return flags.contains(name); });
    };
    const CpuFeatures& features = cpu_features();
    EXPECT_EQ(features.avx2, all({"avx2", "fma", "f16c", "bmi2"}));
    EXPECT_EQ(features.avx512, all({"avx2", "fma", "f16c", "bmi2", "avx512f", "avx512bw", "avx512dq", "avx512vl"}));
    EXPECT_EQ(features.avx512_vnni, features.avx512 && all({"avx512_vnni"}));
    EXPECT_EQ(features.avx512_bf16, features.avx512 && all({"avx512_bf16"}));
    EXPECT_EQ(features.gfni, features.avx512 && all({"gfni"}));
    EXPECT_EQ(features.avx_vnni, features.avx2 && all({"avx_vnni"}));
    EXPECT_LE(features.amx_tile, all({"amx_tile"}));  // the permission may be refused
    EXPECT_EQ(features.amx_int8, features.amx_tile && all({"amx_int8"}));
    EXPECT_EQ(features.amx_bf16, features.amx_tile && all({"amx_bf16"}));
    EXPECT_FALSE(features.neon);
}
#elif defined(__aarch64__)
TEST(CpuFeatures, HoldNeonOnEveryAArch64) {
    EXPECT_EQ(cpu_features().names(), std::vector<std::string>{"neon"});
}
#endif

const X86Identity kEverything = {.leaf1_ecx = 0xFFFFFFFF,
                                 .leaf7_ebx = 0xFFFFFFFF,
                                 .leaf7_ecx = 0xFFFFFFFF,
                                 .leaf7_edx = 0xFFFFFFFF,
                                 .leaf7_1_eax = 0xFFFFFFFF,
                                 .xcr0 = 0x600E7,
                                 .amx_permission = true};

using Names = std::vector<std::string>;

TEST(CpuFeatures, CountOnlyWhereTheSystemSavesTheirRegisters) {
    const Names avx2 = {"avx2", "avx_vnni"};
    const Names avx512 = {"avx2", "avx512", "avx512_vnni", "avx512_bf16", "gfni", "avx_vnni"};
    const Names amx = {"amx_tile", "amx_int8", "amx_bf16"};
    Names all = avx512;
    all.insert(all.end(), amx.begin(), amx.end());
    const auto names = [](auto change) {
        X86Identity identity = kEverything;
        change(identity);
        return decode_features(identity).names();
    };
    EXPECT_EQ(names([](X86Identity&) {}), all);
    EXPECT_EQ(names([](X86Identity& i) { i.amx_permission = false; }), avx512);
    EXPECT_EQ(names([](X86Identity& i) { i.xcr0 &= ~std::uint64_t{0x40000}; }), avx512);
    EXPECT_EQ(names([](X86Identity& i) { i.xcr0 = 0x7; }), avx2);
    EXPECT_EQ(names([](X86Identity& i) { i.xcr0 = 0x67; }), avx2);                  // no ZMM16-31
    EXPECT_EQ(names([](X86Identity& i) { i.xcr0 = 0x3; }), Names{});                // no YMM
    EXPECT_EQ(names([](X86Identity& i) { i.leaf1_ecx &= ~(1u << 27); }), Names{});  // no XGETBV
    EXPECT_EQ(names([](X86Identity& i) { i.leaf1_ecx &= ~(1u << 12); }), amx);      // no FMA
    EXPECT_EQ(names([](X86Identity& i) { i.leaf7_ebx &= ~(1u << 31); }),
              (Names{"avx2", "avx_vnni", "amx_tile", "amx_int8", "amx_bf16"}));
    EXPECT_EQ(decode_features({}).names(), Names{});
}

TEST(Cpu, ThisMachine) {
    EXPECT_FALSE(cpu_model_name().empty());
    const CacheSizes caches = cache_sizes();
    EXPECT_GE(caches.l1d, 4u << 10);
    EXPECT_LE(caches.l1d, 16u << 20);
    EXPECT_GE(caches.l2, 64u << 10);
    EXPECT_GE(usable_cores(), 1u);
    EXPECT_GT(available_memory(), 0u);
    EXPECT_LE(available_memory(), total_memory());
}

TEST(WorkingThreads, AreAsManyAsAskedForWithinTheCores) {
    EXPECT_EQ(working_threads(0), usable_cores());
    EXPECT_EQ(working_threads(1), 1u);
    EXPECT_EQ(working_threads(usable_cores()), usable_cores());
    EXPECT_EQ(working_threads(usable_cores() + 1), usable_cores());
}

TEST(UsableCores, FollowTheAffinityMask) {
    cpu_set_t before;
    ASSERT_EQ(sched_getaffinity(0, sizeof(before), &before), 0);
    EXPECT_LE(usable_cores(), static_cast<std::uint32_t>(CPU_COUNT(&before)));
    int first = 0;
    while (!CPU_ISSET(first, &before))
        ++first;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(first, &one);
    ASSERT_EQ(sched_setaffinity(0, sizeof(one), &one), 0);
    EXPECT_EQ(usable_cores(), 1u);
    EXPECT_EQ(working_threads(1024), 1u);
    ASSERT_EQ(sched_setaffinity(0, sizeof(before), &before), 0);
}

TEST(CpuList, Parses) {
    using List = std::vector<std::uint32_t>;
    EXPECT_EQ(parse_cpu_list("0"), (List{0}));
    EXPECT_EQ(parse_cpu_list("0-3,8,10-11"), (List{0, 1, 2, 3, 8, 10, 11}));
    EXPECT_EQ(parse_cpu_list(""), List{});
    EXPECT_EQ(parse_cpu_list("nonsense"), List{});
    EXPECT_EQ(parse_cpu_list("1,x"), (List{1}));
    EXPECT_EQ(parse_cpu_list("0-99999999999"), List{});
    EXPECT_EQ(parse_cpu_list("5-2"), List{});
}

TEST(CacheSizes, ComeFromSysfs) {
    const TemporaryFolder folder;
    const auto cache = [&](const std::string& index, const char* level, const char* type, const char* size,
                           const char* shared) {
        const std::string at = "sys/devices/system/cpu/cpu0/cache/index" + index;
        folder.write(at + "/level", std::string(level) + "\n");
        folder.write(at + "/type", std::string(type) + "\n");
        folder.write(at + "/size", std::string(size) + "\n");
        folder.write(at + "/shared_cpu_list", std::string(shared) + "\n");
    };
    folder.write("sys/devices/system/cpu/cpu0/topology/thread_siblings_list", "0,8\n");
    cache("0", "1", "Data", "48K", "0,8");
    cache("1", "1", "Instruction", "32K", "0,8");
    cache("2", "2", "Unified", "4M", "0-3,8-11");  // of four cores with two threads each
    cache("3", "3", "Unified", "32768K", "0-15");
    const CacheSizes sizes = cache_sizes_under(folder.path(), {});
    EXPECT_EQ(sizes.l1d, 48u << 10);
    EXPECT_EQ(sizes.l2, 1u << 20);
    EXPECT_EQ(sizes.l3, 32u << 20);

    const CacheSizes fallback = cache_sizes_under(folder.path("nothing"), {1, 2, 3});
    EXPECT_EQ(fallback.l1d, 1u);
    EXPECT_EQ(fallback.l2, 2u);
    EXPECT_EQ(fallback.l3, 3u);
}

TEST(Memory, IsTheLeastOfSystemAndGroup) {
    const TemporaryFolder folder;
    folder.write("proc/meminfo", "MemTotal:       16000000 kB\nMemFree:  1 kB\nMemAvailable:    8000000 kB\n");
    EXPECT_EQ(memory_under(folder.path()).total, 16000000ull << 10);
    EXPECT_EQ(memory_under(folder.path()).available, 8000000ull << 10);
    folder.write("proc/self/cgroup", "0::/job\n");
    folder.write("proc/self/mountinfo", "31 23 0:28 / /cg rw - cgroup2 cgroup2 rw\n");
    folder.write("cg/job/memory.max", "1000000000\n");
    folder.write("cg/job/memory.current", "300000000\n");
    EXPECT_EQ(memory_under(folder.path()).total, 1000000000u);
    EXPECT_EQ(memory_under(folder.path()).available, 700000000u);
    EXPECT_EQ(memory_under(folder.path("nothing")).total, 0u);
}

TEST(UsableCores, AreTheLeastOfMaskAndQuota) {
    const TemporaryFolder folder;
    EXPECT_EQ(cores_under(folder.path(), 8), 8u);
    EXPECT_EQ(cores_under(folder.path(), 0), 1u);
    folder.write("proc/self/cgroup", "0::/job\n");
    folder.write("proc/self/mountinfo", "31 23 0:28 / /cg rw - cgroup2 cgroup2 rw\n");
    folder.write("cg/job/cpu.max", "250000 100000\n");
    EXPECT_EQ(cores_under(folder.path(), 8), 3u);
    EXPECT_EQ(cores_under(folder.path(), 2), 2u);
}

}  // namespace
}  // namespace puna::base
