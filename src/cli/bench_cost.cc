#include "cli/bench_cost.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "cli/main_type.h"
#include "kernels/kv_storage.h"
#include "quant/tensor_type.h"

namespace puna::cli {
namespace {

/// The token embedding in the dialects of model files.
constexpr std::array<std::string_view, 3> embedding_names = {"token_embd.weight", "model.embed_tokens.weight",
                                                             "tok_embeddings.weight"};
constexpr std::array<std::string_view, 2> head_names = {"output.weight", "lm_head.weight"};

template <std::size_t n>
bool is_one_of(const std::array<std::string_view, n>& names, std::string_view name) {
    return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace

ModelCost count_model(const models::Model& model) {
    const std::vector<formats::FoundTensor>& tensors = model.file().tensors;
    const bool has_head = std::any_of(tensors.begin(), tensors.end(),
                                      [](const auto& tensor) { return is_one_of(head_names, tensor.name); });
    ModelCost cost;
    for (const formats::FoundTensor& tensor : tensors) {
        const bool matrix = tensor.shape.size() >= 2;
        const bool embedding = is_one_of(embedding_names, tensor.name);
        if (embedding) cost.embedding_row_bytes = tensor.bytes() / std::max<std::uint64_t>(1, tensor.shape.front());
        if (embedding && has_head) continue;
        cost.read_bytes += tensor.bytes();
        if (!matrix) continue;
        const bool head = embedding || is_one_of(head_names, tensor.name);
        (head ? cost.head_multiplies : cost.layer_multiplies) += tensor.elements();
        if (quant::type_info(tensor.type).law_width > 0) cost.integer_multiplies += tensor.elements();
    }
    cost.main_type = main_type(tensors);
    return cost;
}

StepCost step_cost(const ModelCost& model, const models::Dimensions& dimensions, kernels::KvType kv_type,
                   const Step& step) {
    const auto rows = static_cast<double>(step.rows);
    const auto first = static_cast<double>(step.position);
    const double layers = static_cast<double>(dimensions.layers);
    const auto kv_values = static_cast<std::uint64_t>(dimensions.kv_heads * dimensions.head_dim);
    const double kv_position_bytes = 2 * layers * static_cast<double>(kernels::kv_bytes(kv_type, kv_values));
    // Row i attends to first + i + 1 positions.
    const double attended = rows * first + rows * (rows + 1) / 2;
    const double attention = 2 * layers * static_cast<double>(dimensions.heads * dimensions.head_dim) * attended;

    // The weights are read once for all sequences; everything else is each sequence's own.
    const auto sequences = static_cast<double>(step.sequences);
    StepCost cost;
    cost.bytes =
        static_cast<double>(model.read_bytes) +
        sequences * (rows * static_cast<double>(model.embedding_row_bytes) + (first + rows) * kv_position_bytes);
    cost.multiplies =
        sequences * (rows * static_cast<double>(model.layer_multiplies) +
                     static_cast<double>(step.logit_rows) * static_cast<double>(model.head_multiplies) + attention);
    return cost;
}

}  // namespace puna::cli
