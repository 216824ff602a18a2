#include "kernels/kernel_table.h"

#include <fmt/format.h>

#include <array>
#include <cstdlib>
#include <string>

#include "base/cpu.h"
#include "kernels/sets.h"

namespace puna::kernels {
namespace {

#if defined(__x86_64__)
// Put together here: code of a set's own translation unit must not run before its CPU is known.

/// `base` with the entries that are not null in `own`.
KernelTable with_entries(KernelTable base, const KernelTable& own) {
    const auto take = [](auto& entry, const auto& other) {
        if (other != nullptr) entry = other;
    };
    base.name = own.name;
    base.defaults = own.defaults;
    base.bf16 = own.bf16;
    take(base.matmul_scratch_bytes, own.matmul_scratch_bytes);
    take(base.matmul, own.matmul);
    take(base.activation_group, own.activation_group);
    take(base.activation_row_bytes, own.activation_row_bytes);
    take(base.prepare_activations, own.prepare_activations);
    take(base.attend, own.attend);
    return base;
}

const KernelTable& amx_table() {
    static const KernelTable table = with_entries(avx512_table(), amx_entries());
    return table;
}

const KernelTable& avx512_with_bf16_table() {
    static const KernelTable table = with_entries(avx512_table(), avx512_bf16_entries());
    return table;
}
#endif

std::string names_of_available() {
    std::string names;
    for (const KernelSet& set : all_kernel_sets()) {
        if (!set.available) continue;
        if (!names.empty()) names += ", ";
        names += set.table->name;
    }
    return names;
}

}  // namespace

std::string_view activations_name(Activations activations) {
    switch (activations) {
        case Activations::float32: return "float32";
        case Activations::int16: return "int16";
        case Activations::int8: return "int8";
        case Activations::bf16_tiles:
        case Activations::bf16_lanes: return "bf16";
    }
    return "unknown";
}

std::string_view kv_type_name(KvType type) {
    switch (type) {
        case KvType::f32: return "f32";
        case KvType::f16: return "f16";
        case KvType::q8_0: return "q8_0";
    }
    return "unknown";
}

std::string_view law_id(Activations activations) {
    switch (activations) {
        case Activations::float32: return "f32/1";
        case Activations::int16: return "int/1";
        case Activations::int8: return "int8/1";
        case Activations::bf16_tiles: return "bf16-amx/1";
        case Activations::bf16_lanes: return "bf16-avx512/1";
    }
    return "unknown";
}

std::span<const KernelSet> all_kernel_sets() {
    static const auto sets = [] {
        const base::CpuFeatures& cpu = base::cpu_features();
#if defined(__x86_64__)
        const bool has_bf16_lanes = cpu.avx512 && cpu.avx512_vnni && cpu.avx512_bf16 && cpu.gfni;
#endif
        return std::to_array<KernelSet>({
#if defined(__x86_64__)
            {&amx_table(), cpu.amx_bf16 && cpu.amx_int8 && has_bf16_lanes,
             "AMX with INT8 and BF16, AVX-512 F, BW, DQ, VL, VNNI and BF16, and GFNI"},
            {has_bf16_lanes ? &avx512_with_bf16_table() : &avx512_table(), cpu.avx512 && cpu.avx512_vnni && cpu.avx2,
             "AVX-512 F, BW, DQ, VL and VNNI"},
            {&avx2_table(), cpu.avx2, "AVX2, FMA, F16C and BMI2"},
#elif defined(__aarch64__)
            {&neon_table(), cpu.neon, "Advanced SIMD"},
#endif
            {&generic_table(), true, "nothing"},
        });
    }();
    return sets;
}

const KernelTable& default_kernels() {
    for (const KernelSet& set : all_kernel_sets()) {
        if (set.available) return *set.table;
    }
    return generic_table();
}

Result<const KernelTable*> select_kernels(std::string_view isa) {
    std::string wanted(isa);
    std::string_view origin = "--isa";
    if (wanted == "auto") {
        if (const char* forced = std::getenv("PUNA_ISA"); forced != nullptr && *forced != '\0') {
            wanted = forced;
            origin = "PUNA_ISA";
        }
    }
    for (const KernelSet& set : all_kernel_sets()) {
        if (wanted == "auto" ? set.available : wanted == set.table->name) {
            if (set.available) return set.table;
            return Error{ErrorCode::unsupported_isa,
                         fmt::format("{}: the kernel set '{}' needs {}, which this CPU or system lacks", origin, wanted,
                                     set.needs),
                         fmt::format("choose one of: auto, {}", names_of_available())};
        }
    }
    return Error{ErrorCode::unsupported_isa, fmt::format("{}: there is no kernel set '{}'", origin, wanted),
                 fmt::format("choose one of: auto, {}", names_of_available())};
}

Result<Activations> select_activations(std::string_view name, const KernelTable& table) {
    if (name == "auto") return table.defaults;
    const std::string_view choices = table.bf16 == Activations::float32
                                         ? "choose one of: auto, float32, int16, int8"
                                         : "choose one of: auto, float32, int16, bf16, int8";
    if (name == "bf16") {
        if (table.bf16 != Activations::float32) return table.bf16;
        return Error{
            ErrorCode::unsupported_activations,
            fmt::format("activations 'bf16' need AMX with BF16, or AVX512-BF16 and GFNI; the kernel set '{}' uses "
                        "neither here",
                        table.name),
            std::string(choices)};
    }
    for (const Activations kind : all_activations) {
        if (name != law_id(kind) && name != activations_name(kind)) continue;
        if (table.matmul(quant::TensorType::F32, kind) != nullptr) return kind;
        return Error{ErrorCode::unsupported_activations,
                     fmt::format("the kernel set '{}' does not compute by the law '{}'", table.name, name),
                     std::string(choices)};
    }
    return Error{ErrorCode::invalid_argument, fmt::format("activations '{}' is not a known type", name),
                 std::string(choices)};
}

Result<KvType> select_kv_type(std::string_view name) {
    if (name == "f16") return KvType::f16;
    if (name == "f32") return KvType::f32;
    if (name == "q8_0") return KvType::q8_0;
    return Error{ErrorCode::invalid_argument, fmt::format("KV type '{}' is not known", name),
                 "choose f16, f32 or q8_0"};
}

}  // namespace puna::kernels
