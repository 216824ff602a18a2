#include "convert/quantize.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <limits>
#include <map>
#include <utility>

#include "base/try.h"
#include "convert/exactness.h"
#include "convert/tensor_values.h"
#include "formats/gguf/layout.h"
#include "formats/printable.h"
#include "models/model.h"

namespace puna::convert {
namespace {

using formats::FoundTensor;
using quant::TensorType;

// ---- The plan ----

/// Integer tensors (tables, not weights) have nothing to round.
bool holds_integers(TensorType type) {
    return type == TensorType::I8 || type == TensorType::I16 || type == TensorType::I32 || type == TensorType::I64;
}

std::string describe(const PlannedTensor& tensor) {
    return fmt::format("tensor '{}' from {} to {}", formats::printable(tensor.source->name),
                       quant::type_info(tensor.source->type).name, quant::type_info(tensor.type).name);
}

Result<void> check_conversion(const PlannedTensor& tensor, const QuantizeOptions& options) {
    if (tensor.type == tensor.source->type) return {};
    if (options.exact && exactness(tensor.source->type, tensor.type) == Exactness::never) {
        return Error{ErrorCode::invalid_argument,
                     fmt::format("cannot convert {} and keep every value, as --exact asks", describe(tensor)),
                     "leave --exact away, or give --type F32"};
    }
    if (!quant::type_info(tensor.source->type).computes()) {
        return Error{ErrorCode::unsupported_tensor_type,
                     fmt::format("cannot convert {}: this build does not read the weights", describe(tensor)),
                     "start from the F16, BF16 or F32 model"};
    }
    if (quant::type_info(tensor.type).from_float == nullptr) {
        return Error{ErrorCode::invalid_argument,
                     fmt::format("cannot convert {}: this build does not write the type", describe(tensor)),
                     "choose another type"};
    }
    const bool again = is_quantized(tensor.source->type) && is_quantized(tensor.type) &&
                       !is_repacked(tensor.source->type, tensor.type);
    if (again && !options.allow_requantize) {
        return Error{ErrorCode::invalid_argument, fmt::format("{} would be quantized a second time", describe(tensor)),
                     "start from the F16, BF16 or F32 model, or give --allow-requantize and accept what it loses"};
    }
    return {};
}

/// The type that stands for `tensor`'s own in a GGUF file, where nothing else is asked for: early forms of a type
/// become that type; all that F8 can say, F16 can say too. What other programs compute beside the products is F32 in
/// every GGUF file; `is_gguf`: there it was chosen.
TensorType kept_type(const FoundTensor& tensor, bool is_gguf) {
    if (!is_gguf && tensor.shape.size() < 2 && quant::type_info(tensor.type).computes()) return TensorType::F32;
    const TensorType successor = quant::type_info(tensor.type).successor;
    return quant::is_gguf_type(successor) ? successor : TensorType::F16;
}

TensorType wanted_type(const FoundTensor& tensor, const QuantizeOptions& options, const ModelTraits& traits,
                       bool is_gguf, std::vector<bool>& overrides_used) {
    if (holds_integers(tensor.type)) return tensor.type;
    const bool widen_all = options.mix != nullptr && options.mix->base == TensorType::F32;
    if (!is_convertible(tensor)) return widen_all ? TensorType::F32 : kept_type(tensor, is_gguf);
    TensorType type = kept_type(tensor, is_gguf);
    if (options.mix != nullptr) {
        type = options.pure ? options.mix->base : type_in_mix(*options.mix, tensor.name, traits);
    }
    for (std::size_t i = 0; i < options.overrides.size(); ++i) {
        if (!matches_glob(options.overrides[i].glob, tensor.name)) continue;
        type = options.overrides[i].type;
        overrides_used[i] = true;
    }
    return type;
}

/// Errors: invalid_argument (an importance matrix of another model).
Result<void> plan_importance(PlannedTensor& tensor, const formats::Imatrix* matrix) {
    const bool converts = tensor.type != tensor.source->type;
    if (matrix == nullptr || !converts || quant::type_info(tensor.type).from_important == nullptr) return {};
    const auto found = matrix->entries.find(tensor.source->name);
    if (found == matrix->entries.end()) {
        tensor.misses_importance = true;
        return {};
    }
    PUNA_CHECK(formats::check_entry(found->second, *tensor.source));
    tensor.importance = &found->second;
    return {};
}

void set_unsigned(formats::Metadata& metadata, const std::string& key, std::uint32_t value) {
    metadata.values[key] = std::uint64_t{value};
    metadata.stored_types[key] = static_cast<std::uint32_t>(formats::gguf::ValueType::uint32);
}

void set_string(formats::Metadata& metadata, const std::string& key, const std::string& value) {
    metadata.values[key] = value;
    metadata.stored_types[key] = static_cast<std::uint32_t>(formats::gguf::ValueType::string);
}

std::uint32_t clamp(std::uint64_t count) {
    return static_cast<std::uint32_t>(std::min<std::uint64_t>(count, std::numeric_limits<std::uint32_t>::max()));
}

/// Of the block layouts, which have not changed since 2023.
constexpr std::uint32_t quantization_version = 2;

/// The mix that is the type of most weights; null if there is none of its name.
const Mix* prevailing_mix(const std::vector<PlannedTensor>& tensors) {
    std::map<TensorType, std::uint64_t> elements;
    for (const PlannedTensor& tensor : tensors)
        elements[tensor.type] += tensor.source->elements();
    const auto most = std::max_element(elements.begin(), elements.end(),
                                       [](const auto& a, const auto& b) { return a.second < b.second; });
    return most == elements.end() ? nullptr : find_mix(quant::type_info(most->first).name);
}

formats::Metadata new_metadata(const formats::Metadata& old, bool is_gguf, const std::vector<PlannedTensor>& tensors,
                               const QuantizeOptions& options) {
    formats::Metadata metadata = old;
    if (options.imatrix != nullptr) {  // the keys of llama-quantize
        set_string(metadata, "quantize.imatrix.file", options.imatrix_name);
        if (!options.imatrix->datasets.empty()) {
            set_string(metadata, "quantize.imatrix.dataset", options.imatrix->datasets.front());
        }
        set_unsigned(metadata, "quantize.imatrix.entries_count", clamp(options.imatrix->entries.size()));
        set_unsigned(metadata, "quantize.imatrix.chunks_count", clamp(options.imatrix->chunks));
    }
    if (options.mix == nullptr) {
        const Mix* mix = is_gguf ? nullptr : prevailing_mix(tensors);
        if (mix != nullptr) set_unsigned(metadata, "general.file_type", mix->file_type);
        const bool quantized = std::any_of(tensors.begin(), tensors.end(),
                                           [](const PlannedTensor& tensor) { return is_quantized(tensor.type); });
        if (!is_gguf && quantized) set_unsigned(metadata, "general.quantization_version", quantization_version);
        return metadata;
    }
    set_unsigned(metadata, "general.file_type", options.mix->file_type);
    if (is_quantized(options.mix->base)) {
        set_unsigned(metadata, "general.quantization_version", quantization_version);
    }
    return metadata;
}

Result<std::vector<PlannedTensor>> plan_tensors(const formats::ModelFile& source, bool is_gguf,
                                                const QuantizeOptions& options) {
    ModelTraits traits = traits_of(source);
    traits.by_importance = options.imatrix != nullptr;
    std::vector<bool> overrides_used(options.overrides.size());
    std::vector<PlannedTensor> tensors;
    tensors.reserve(source.tensors.size());
    for (const FoundTensor& found : source.tensors) {
        PlannedTensor tensor = {.source = &found, .wanted = found.type, .type = found.type, .bytes = 0};
        tensor.wanted = wanted_type(found, options, traits, is_gguf, overrides_used);
        tensor.type = type_for_rows(tensor.wanted, found.shape.empty() ? 1 : found.shape.back());
        PUNA_CHECK(check_conversion(tensor, options));
        PUNA_CHECK(plan_importance(tensor, options.imatrix.get()));
        tensor.judged_by_values = options.exact && exactness(found.type, tensor.type) == Exactness::by_values;
        tensors.push_back(tensor);
    }
    const auto unused = std::find(overrides_used.begin(), overrides_used.end(), false);
    if (unused != overrides_used.end()) {
        const auto& glob = options.overrides[static_cast<std::size_t>(unused - overrides_used.begin())].glob;
        return Error{ErrorCode::invalid_argument,
                     fmt::format("'{}' names no tensor whose type can be chosen", formats::printable(glob)),
                     "it must match a whole name, as in 'blk.*.ffn_down.weight'; --dry-run lists the names"};
    }
    return tensors;
}

}  // namespace

Result<QuantizePlan> plan_quantization(std::shared_ptr<const formats::ModelFile> source,
                                       const QuantizeOptions& options) {
    QuantizePlan plan;
    const bool is_gguf = source->dialect == formats::Dialect::gguf;
    PUNA_TRY(plan.source, models::in_gguf_dialect(std::move(source)));
    if (const auto& ends = plan.source->vocabulary.more_ends; !is_gguf && !ends.empty()) {
        plan.unsaid.push_back(fmt::format("that {} {} too ends a text: it has names for three that do",
                                          ends.size() == 1 ? "token" : "each of the tokens", fmt::join(ends, ", ")));
    }
    plan.imatrix = options.imatrix;
    PUNA_TRY(plan.tensors, plan_tensors(*plan.source, is_gguf, options));
    std::vector<formats::gguf::TensorEntry> entries;
    entries.reserve(plan.tensors.size());
    for (const PlannedTensor& tensor : plan.tensors)
        entries.push_back({tensor.source->name, tensor.type, tensor.source->shape});
    PUNA_TRY(plan.layout,
             formats::gguf::lay_out_file(new_metadata(plan.source->metadata, is_gguf, plan.tensors, options),
                                         plan.source->vocabulary, entries));
    for (std::size_t i = 0; i < plan.tensors.size(); ++i)
        plan.tensors[i].bytes = plan.layout.tensor_bytes[i];
    return plan;
}

}  // namespace puna::convert
