// Plans files of the formats before GGUF.
#include <fmt/format.h>

#include <utility>

#include "base/try.h"
#include "convert/exactness.h"
#include "convert/quantize.h"
#include "formats/ggml/vocabulary.h"
#include "formats/printable.h"
#include "models/model.h"

namespace puna::convert {
namespace {

using formats::FoundTensor;
using quant::TensorType;

Result<TensorType> choose_type(const FoundTensor& tensor, const Mix* mix, bool exact) {
    const bool is_vector = tensor.shape.size() < 2;
    const TensorType type = is_vector ? TensorType::F32 : mix != nullptr ? mix->base : tensor.type;
    const std::string what =
        fmt::format("tensor '{}', which is {},", formats::printable(tensor.name), quant::type_info(tensor.type).name);
    if (type != TensorType::F32 && type != TensorType::F16) {
        return Error{ErrorCode::invalid_argument,
                     fmt::format("the format takes F32 and F16 alone: {} does not fit", what),
                     "give --type F16 or --type F32"};
    }
    if (!quant::type_info(tensor.type).computes()) {
        return Error{ErrorCode::unsupported_tensor_type, fmt::format("{} cannot be decoded by this build", what),
                     "start from the F16, BF16 or F32 model"};
    }
    if (exact && exactness(tensor.type, type) == Exactness::never) {
        return Error{
            ErrorCode::invalid_argument,
            fmt::format("{} cannot become {} and keep every value, as --exact asks", what, quant::type_info(type).name),
            "leave --exact away, or give --type F32"};
    }
    return type;
}

}  // namespace

Result<QuantizePlan> plan_legacy(std::shared_ptr<const formats::ModelFile> source,
                                 const formats::ggml::Container& container, const Mix* mix, bool exact) {
    PUNA_TRY(models::LegacyForm form, models::in_ggml_dialect(std::move(source)));
    QuantizePlan plan;
    plan.source = std::move(form.file);
    plan.unsaid = std::move(form.unsaid);
    std::vector<formats::gguf::TensorEntry> entries;
    for (const FoundTensor& found : plan.source->tensors) {
        PUNA_TRY(const TensorType type, choose_type(found, mix, exact));
        const bool judged = exact && exactness(found.type, type) == Exactness::by_values;
        plan.tensors.push_back(
            {.source = &found, .wanted = type, .type = type, .bytes = 0, .judged_by_values = judged});
        entries.push_back({found.name, type, found.shape});
    }
    PUNA_TRY(plan.legacy_layout, formats::ggml::lay_out_file(container, *plan.source, entries));
    for (std::size_t i = 0; i < plan.tensors.size(); ++i)
        plan.tensors[i].bytes = plan.legacy_layout->tensor_bytes[i];
    if (!container.has_scores() && !formats::ggml::is_in_order_of_scores(plan.source->vocabulary)) {
        plan.unsaid.emplace_back("scores, in whose order the words do not stand: text may become other tokens");
    }
    return plan;
}

}  // namespace puna::convert
