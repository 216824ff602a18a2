#include "base/cpu.h"

#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <optional>

#include "base/cgroup.h"
#include "base/cpu_detail.h"
#include "base/number.h"
#include "base/text_file.h"

#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__)
#include <sys/auxv.h>
#endif

namespace puna::base {
namespace {

#if defined(__x86_64__)

std::uint64_t read_xcr0() {
    std::uint32_t low = 0;
    std::uint32_t high = 0;
    asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (std::uint64_t{high} << 32) | low;
}

// Linux kernel documentation, "Using XSTATE features in user space applications".
bool request_amx() {
    constexpr long kRequestPermission = 0x1023;  // ARCH_REQ_XCOMP_PERM
    constexpr long kTileData = 18;               // XFEATURE_XTILEDATA
    return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

CpuFeatures detect_features() {
    constexpr std::uint32_t kOsxsave = 1u << 27;  // leaf 1 ECX
    constexpr std::uint32_t kAmxTile = 1u << 24;  // leaf 7 EDX
    X86Identity identity;
    std::uint32_t eax = 0;
    std::uint32_t ebx = 0;
    std::uint32_t ecx = 0;
    std::uint32_t edx = 0;
    if (__get_cpuid(1, &eax, &ebx, &ecx, &edx)) identity.leaf1_ecx = ecx;
    if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx)) {
        identity.leaf7_ebx = ebx;
        identity.leaf7_ecx = ecx;
        identity.leaf7_edx = edx;
        const std::uint32_t last_subleaf = eax;
        if (last_subleaf >= 1 && __get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx)) identity.leaf7_1_eax = eax;
    }
    if ((identity.leaf1_ecx & kOsxsave) != 0) identity.xcr0 = read_xcr0();
    if ((identity.leaf7_edx & kAmxTile) != 0) identity.amx_permission = request_amx();
    return decode_features(identity);
}

std::string detect_model_name() {
    std::array<std::uint32_t, 12> words = {};
    for (std::uint32_t i = 0; i < 3; ++i) {  // the brand string, 16 bytes a leaf
        std::uint32_t* const w = &words[4 * i];
        if (!__get_cpuid(0x80000002u + i, &w[0], &w[1], &w[2], &w[3])) return "x86-64";
    }
    std::string name(sizeof(words), '\0');
    std::memcpy(name.data(), words.data(), sizeof(words));
    name.resize(std::min(name.find('\0'), name.size()));
    const std::size_t first = name.find_first_not_of(' ');
    if (first == std::string::npos) return "x86-64";
    return name.substr(first, name.find_last_not_of(' ') - first + 1);
}

#else

CpuFeatures detect_features() {
    CpuFeatures features;
#if defined(__aarch64__)
    // Advanced SIMD belongs to the base architecture, yet the system says whether programs may use it. Linux kernel
    // documentation, "ARM64 ELF hwcaps".
    features.neon = (getauxval(AT_HWCAP) & HWCAP_ASIMD) != 0;
#endif
    return features;
}

std::string detect_model_name() {
#if defined(__aarch64__)
    return "aarch64";
#else
    return "unknown";
#endif
}

#endif

std::optional<std::string> read_word(const std::string& path) {
    auto text = read_text_file(path);
    if (!text.ok()) return std::nullopt;
    return text->substr(0, text->find_first_of(" \n"));
}

/// A size as sysfs writes it ("32K", "1M"), in bytes.
std::optional<std::uint64_t> parse_size(std::string_view text) {
    std::uint64_t unit = 1;
    if (text.ends_with('K')) unit = 1u << 10;
    if (text.ends_with('M')) unit = 1u << 20;
    if (unit != 1) text.remove_suffix(1);
    const auto number = parse_number<std::uint64_t>(text, "", 0, UINT64_MAX >> 20);
    if (!number.ok()) return std::nullopt;
    return number.value() * unit;
}

/// The value of `key` (kibibytes) in the text of /proc/meminfo or the like, in bytes.
std::optional<std::uint64_t> meminfo_value(std::string_view text, std::string_view key) {
    const std::size_t at = text.find(key);
    if (at == std::string_view::npos) return std::nullopt;
    text.remove_prefix(at + key.size());
    text.remove_prefix(std::min(text.find_first_not_of(" \t"), text.size()));
    const auto number = parse_number<std::uint64_t>(text.substr(0, text.find_first_of(" \n")), "", 0, UINT64_MAX >> 10);
    if (!number.ok()) return std::nullopt;
    return number.value() << 10;
}

std::uint32_t affinity_cores() {
    const std::size_t allowed = allowed_cpus().size();
    if (allowed > 0) return static_cast<std::uint32_t>(allowed);
    return static_cast<std::uint32_t>(std::max(1L, sysconf(_SC_NPROCESSORS_ONLN)));
}

CacheSizes cache_sizes_of_library() {
    CacheSizes sizes;
#if defined(_SC_LEVEL1_DCACHE_SIZE)
    const auto ask = [](int name, std::uint64_t& size) {
        if (const long answer = sysconf(name); answer > 0) size = static_cast<std::uint64_t>(answer);
    };
    ask(_SC_LEVEL1_DCACHE_SIZE, sizes.l1d);
    ask(_SC_LEVEL2_CACHE_SIZE, sizes.l2);
    ask(_SC_LEVEL3_CACHE_SIZE, sizes.l3);
#endif
    return sizes;
}

constexpr std::size_t word_bits = 8 * sizeof(unsigned long);
constexpr std::size_t most_cpus = std::size_t{1} << 20;

bool set_affinity(std::span<const std::uint32_t> cpus) {
    std::vector<unsigned long> mask;
    for (const std::uint32_t cpu : cpus) {
        if (cpu >= most_cpus) return false;
        mask.resize(std::max<std::size_t>(mask.size(), cpu / word_bits + 1));
        mask[cpu / word_bits] |= 1UL << cpu % word_bits;
    }
    const std::size_t bytes = mask.size() * sizeof(unsigned long);
    return sched_setaffinity(0, bytes, reinterpret_cast<const cpu_set_t*>(mask.data())) == 0;
}

}  // namespace

std::vector<std::uint32_t> allowed_cpus() {
    // A machine with more CPUs than the mask has room for answers EINVAL.
    for (std::size_t room = 1024; room <= most_cpus; room *= 4) {
        std::vector<unsigned long> mask(room / word_bits);
        if (sched_getaffinity(0, room / 8, reinterpret_cast<cpu_set_t*>(mask.data())) == 0) {
            std::vector<std::uint32_t> cpus;
            for (std::uint32_t cpu = 0; cpu < room; ++cpu) {
                if ((mask[cpu / word_bits] >> cpu % word_bits & 1) != 0) cpus.push_back(cpu);
            }
            return cpus;
        }
        if (errno != EINVAL) break;
    }
    return {};
}

CpuScope::CpuScope(std::span<const std::uint32_t> cpus) {
    std::vector<std::uint32_t> before = allowed_cpus();
    if (set_affinity(cpus)) before_ = std::move(before);
}

CpuScope::~CpuScope() {
    if (!before_.empty()) set_affinity(before_);
}

CpuFeatures decode_features(const X86Identity& identity) {
    const auto bit = [](std::uint32_t word, int index) { return ((word >> index) & 1) != 0; };
    const auto saves = [&](std::uint64_t states) { return (identity.xcr0 & states) == states; };
    const bool saves_avx = bit(identity.leaf1_ecx, 27) && saves(0x6);  // XMM, YMM
    const bool saves_avx512 = saves_avx && saves(0xE0);                // opmask, upper ZMM, ZMM16-31
    const bool saves_tiles = bit(identity.leaf1_ecx, 27) && saves(0x60000) && identity.amx_permission;

    CpuFeatures features;
    const bool fma = bit(identity.leaf1_ecx, 12);
    const bool f16c = bit(identity.leaf1_ecx, 29);
    const bool avx = bit(identity.leaf1_ecx, 28);
    features.avx2 = saves_avx && avx && fma && f16c && bit(identity.leaf7_ebx, 5) && bit(identity.leaf7_ebx, 8);
    features.avx_vnni = features.avx2 && bit(identity.leaf7_1_eax, 4);
    features.avx512 = features.avx2 && saves_avx512 && bit(identity.leaf7_ebx, 16) && bit(identity.leaf7_ebx, 17) &&
                      bit(identity.leaf7_ebx, 30) && bit(identity.leaf7_ebx, 31);
    features.avx512_vnni = features.avx512 && bit(identity.leaf7_ecx, 11);
    features.avx512_bf16 = features.avx512 && bit(identity.leaf7_1_eax, 5);
    features.gfni = features.avx512 && bit(identity.leaf7_ecx, 8);
    features.amx_tile = saves_tiles && bit(identity.leaf7_edx, 24);
    features.amx_int8 = features.amx_tile && bit(identity.leaf7_edx, 25);
    features.amx_bf16 = features.amx_tile && bit(identity.leaf7_edx, 22);
    return features;
}

std::vector<std::string> CpuFeatures::names() const {
    std::vector<std::string> names;
    const auto add = [&](bool present, const char* name) {
        if (present) names.emplace_back(name);
    };
    add(avx2, "avx2");
    add(avx512, "avx512");
    add(avx512_vnni, "avx512_vnni");
    add(avx512_bf16, "avx512_bf16");
    add(gfni, "gfni");
    add(avx_vnni, "avx_vnni");
    add(amx_tile, "amx_tile");
    add(amx_int8, "amx_int8");
    add(amx_bf16, "amx_bf16");
    add(neon, "neon");
    return names;
}

std::vector<std::uint32_t> parse_cpu_list(std::string_view list) {
    constexpr std::uint32_t kMostCpus = 1u << 20;
    std::vector<std::uint32_t> cpus;
    while (!list.empty()) {
        const std::string_view part = list.substr(0, list.find(','));
        list.remove_prefix(std::min(part.size() + 1, list.size()));
        const std::size_t dash = part.find('-');
        const auto first = parse_number<std::uint32_t>(part.substr(0, dash), "", 0, kMostCpus);
        if (!first.ok()) break;
        const auto last = dash == std::string_view::npos
                              ? first
                              : parse_number<std::uint32_t>(part.substr(dash + 1), "", 0, kMostCpus);
        if (!last.ok()) break;
        for (std::uint32_t cpu = first.value(); cpu <= last.value(); ++cpu)
            cpus.push_back(cpu);
    }
    return cpus;
}

CacheSizes cache_sizes_under(const std::string& root, CacheSizes fallback) {
    const std::string cpu0 = root + "/sys/devices/system/cpu/cpu0";
    const std::size_t threads =  // of one core
        std::max<std::size_t>(parse_cpu_list(read_word(cpu0 + "/topology/thread_siblings_list").value_or("")).size(),
                              1);
    CacheSizes sizes = fallback;
    for (int index = 0; index < 16; ++index) {
        const std::string cache = cpu0 + "/cache/index" + std::to_string(index);
        const std::string level = read_word(cache + "/level").value_or("");
        if (level.empty()) break;
        const auto size = parse_size(read_word(cache + "/size").value_or(""));
        if (!size || read_word(cache + "/type").value_or("") == "Instruction") continue;
        const std::size_t sharers = parse_cpu_list(read_word(cache + "/shared_cpu_list").value_or("")).size();
        const std::size_t cores = std::max<std::size_t>(sharers / threads, 1);
        if (level == "1") sizes.l1d = *size / cores;
        if (level == "2") sizes.l2 = *size / cores;
        if (level == "3") sizes.l3 = *size;
    }
    return sizes;
}

Memory memory_under(const std::string& root) {
    const auto text = read_text_file(root + "/proc/meminfo");
    Memory memory;
    if (!text.ok()) return memory;
    memory.total = meminfo_value(*text, "MemTotal:").value_or(0);
    memory.available = meminfo_value(*text, "MemAvailable:").value_or(memory.total);
    const CgroupLimits limits = cgroup_limits(root);
    memory.total = std::min(memory.total, limits.memory_limit.value_or(memory.total));
    memory.available = std::min({memory.available, limits.memory_available.value_or(memory.available), memory.total});
    return memory;
}

std::uint32_t cores_under(const std::string& root, std::uint32_t allowed) {
    return std::max(1u, std::min(allowed, cgroup_limits(root).cores.value_or(allowed)));
}

const CpuFeatures& cpu_features() {
    static const CpuFeatures features = detect_features();
    return features;
}

std::string cpu_model_name() {
    return detect_model_name();
}

CacheSizes cache_sizes() {
    static const CacheSizes sizes = cache_sizes_under("", cache_sizes_of_library());
    return sizes;
}

std::uint32_t usable_cores() {
    return cores_under("", affinity_cores());
}
std::uint32_t working_threads(std::uint32_t asked) {
    return asked == 0 ? usable_cores() : std::min(asked, usable_cores());
}
std::uint64_t available_memory() {
    return memory_under("").available;
}
std::uint64_t peak_memory() {
    const auto text = read_text_file("/proc/self/status");
    return text.ok() ? meminfo_value(*text, "VmHWM:").value_or(0) : 0;
}
std::uint64_t total_memory() {
    return memory_under("").total;
}

}  // namespace puna::base
