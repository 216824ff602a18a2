#include "formats/pytorch/globals.h"

#include <algorithm>
#include <array>

namespace puna::formats::pytorch {
namespace {

using quant::TensorType;

constexpr std::array globals = {
    Global{"collections", "OrderedDict", GlobalKind::ordered_dict},
    Global{"torch", "Size", GlobalKind::size},
    Global{"torch._utils", "_rebuild_tensor", GlobalKind::rebuild_tensor},
    Global{"torch._utils", "_rebuild_tensor_v2", GlobalKind::rebuild_tensor_v2},
    Global{"torch._utils", "_rebuild_tensor_v3", GlobalKind::rebuild_tensor_v3},
    Global{"torch._utils", "_rebuild_parameter", GlobalKind::rebuild_parameter},
    Global{"torch.storage", "UntypedStorage", GlobalKind::untyped_storage},
    Global{"torch", "FloatStorage", GlobalKind::storage, TensorType::F32},
    Global{"torch", "HalfStorage", GlobalKind::storage, TensorType::F16},
    Global{"torch", "BFloat16Storage", GlobalKind::storage, TensorType::BF16},
    Global{"torch", "DoubleStorage", GlobalKind::storage, TensorType::F64},
    Global{"torch", "LongStorage", GlobalKind::storage, TensorType::I64},
    Global{"torch", "IntStorage", GlobalKind::storage, TensorType::I32},
    Global{"torch", "ShortStorage", GlobalKind::storage, TensorType::I16},
    Global{"torch", "CharStorage", GlobalKind::storage, TensorType::I8},
    Global{"torch", "ByteStorage", GlobalKind::storage, TensorType::U8},
    Global{"torch", "BoolStorage", GlobalKind::storage, TensorType::BOOL},
    Global{"torch", "float32", GlobalKind::dtype, TensorType::F32},
    Global{"torch", "float16", GlobalKind::dtype, TensorType::F16},
    Global{"torch", "bfloat16", GlobalKind::dtype, TensorType::BF16},
    Global{"torch", "float64", GlobalKind::dtype, TensorType::F64},
    Global{"torch", "float8_e4m3fn", GlobalKind::dtype, TensorType::F8_E4M3},
    Global{"torch", "float8_e5m2", GlobalKind::dtype, TensorType::F8_E5M2},
    Global{"torch", "int64", GlobalKind::dtype, TensorType::I64},
    Global{"torch", "int32", GlobalKind::dtype, TensorType::I32},
    Global{"torch", "int16", GlobalKind::dtype, TensorType::I16},
    Global{"torch", "int8", GlobalKind::dtype, TensorType::I8},
    Global{"torch", "uint64", GlobalKind::dtype, TensorType::U64},
    Global{"torch", "uint32", GlobalKind::dtype, TensorType::U32},
    Global{"torch", "uint16", GlobalKind::dtype, TensorType::U16},
    Global{"torch", "uint8", GlobalKind::dtype, TensorType::U8},
    Global{"torch", "bool", GlobalKind::dtype, TensorType::BOOL},
};

}  // namespace

const Global* find_global(std::string_view module, std::string_view name) {
    const auto* const found = std::find_if(globals.begin(), globals.end(), [&](const Global& global) {
        return global.module == module && global.name == name;
    });
    return found == globals.end() ? nullptr : &*found;
}

}  // namespace puna::formats::pytorch
