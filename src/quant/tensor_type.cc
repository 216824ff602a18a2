// The registry of tensor types.
#include "quant/tensor_type.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <utility>
#include <vector>

#include "quant/families.h"

namespace puna::quant {
namespace {

/// Known by name and size; not computed by this build. (Q8_1 and Q8_K are the reference implementation's activations
/// and appear in no file.)
constexpr std::array not_computed = {
    known_type(TensorType::Q8_1, "Q8_1", 32, 36),
    known_type(TensorType::Q8_K, "Q8_K", 256, 292),
    known_type(TensorType::Q1_0, "Q1_0", 128, 18),
};

constexpr std::array<std::pair<std::uint32_t, std::string_view>, 8> retired = {{{4, "Q4_2"},
                                                                                {5, "Q4_3"},
                                                                                {31, "Q4_0_4_4"},
                                                                                {32, "Q4_0_4_8"},
                                                                                {33, "Q4_0_8_8"},
                                                                                {36, "IQ4_NL_4_4"},
                                                                                {37, "IQ4_NL_4_8"},
                                                                                {38, "IQ4_NL_8_8"}}};

std::vector<TypeInfo> collect_types() {
    std::vector<TypeInfo> types;
    for (const std::span<const TypeInfo> family :
         {float_types(), legacy_types(), early_types(), k_quant_types(), iq4_types(), codebook_types(), ternary_types(),
          fp4_types(), std::span<const TypeInfo>(not_computed)}) {
        types.insert(types.end(), family.begin(), family.end());
    }
    std::sort(types.begin(), types.end(), [](const TypeInfo& a, const TypeInfo& b) { return a.type < b.type; });
    return types;
}

char lower(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

}  // namespace

bool same_name(std::string_view a, std::string_view b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) { return lower(x) == lower(y); });
}

std::span<const TypeInfo> all_types() {
    static const std::vector<TypeInfo> types = collect_types();
    return types;
}

const TypeInfo* find_type(std::uint32_t id) {
    const std::span<const TypeInfo> types = all_types();
    const auto found = std::lower_bound(types.begin(), types.end(), id, [](const TypeInfo& info, std::uint32_t wanted) {
        return static_cast<std::uint32_t>(info.type) < wanted;
    });
    return found != types.end() && static_cast<std::uint32_t>(found->type) == id ? &*found : nullptr;
}

const TypeInfo* find_type(std::string_view name) {
    for (const TypeInfo& info : all_types()) {
        if (same_name(info.name, name)) return &info;
    }
    return nullptr;
}

const TypeInfo& type_info(TensorType type) {
    const TypeInfo* info = find_type(static_cast<std::uint32_t>(type));
    assert(info != nullptr);
    return *info;
}

std::string_view retired_type_name(std::uint32_t id) {
    for (const auto& [retired_id, name] : retired) {
        if (retired_id == id) return name;
    }
    return {};
}

}  // namespace puna::quant
