#include "api/model_info.h"

#include <limits>

#include "base/checked.h"
#include "quant/tensor_type.h"

namespace puna::api {
namespace {

// Sums are of what files claim, and may be read of files that no model could hold.
std::uint64_t saturating_add(std::uint64_t a, std::uint64_t b) {
    return base::checked_add(a, b).value_or(std::numeric_limits<std::uint64_t>::max());
}

/// A number that the file gives, in GGUF under its architecture's prefix; 0 if there is none, or no such number.
std::uint32_t hyper_parameter(const formats::ModelFile& file, std::string_view gguf, std::string_view huggingface,
                              std::string_view ggml, std::string_view meta) {
    const auto key = [&] {
        if (file.dialect == formats::Dialect::huggingface) return std::string(huggingface);
        if (file.dialect == formats::Dialect::ggml) return std::string(ggml);
        if (file.dialect == formats::Dialect::meta) return std::string(meta);
        return file.architecture + "." + std::string(gguf);
    };
    const auto value = file.metadata.unsigned_integer(key());
    if (!value.ok() || !*value || **value > std::numeric_limits<std::uint32_t>::max()) return 0;
    return static_cast<std::uint32_t>(**value);
}

void describe_dimensions(const models::Dimensions& dimensions, ModelInfo& info) {
    info.context_tokens = static_cast<std::uint32_t>(dimensions.context);
    info.vocabulary_tokens = static_cast<std::uint32_t>(dimensions.vocabulary);
    info.embedding_length = static_cast<std::uint32_t>(dimensions.embedding);
    info.feed_forward_length = static_cast<std::uint32_t>(dimensions.feed_forward);
    info.block_count = static_cast<std::uint32_t>(dimensions.layers);
    info.head_count = static_cast<std::uint32_t>(dimensions.heads);
    info.head_count_kv = static_cast<std::uint32_t>(dimensions.kv_heads);
}

void describe_claims(const formats::ModelFile& file, ModelInfo& info) {
    info.context_tokens = hyper_parameter(file, "context_length", "max_position_embeddings", "n_ctx", "max_seq_len");
    info.vocabulary_tokens = static_cast<std::uint32_t>(file.vocabulary.tokens.size());
    info.embedding_length = hyper_parameter(file, "embedding_length", "hidden_size", "n_embd", "dim");
    info.feed_forward_length = hyper_parameter(file, "feed_forward_length", "intermediate_size", "n_ff", "");
    info.block_count = hyper_parameter(file, "block_count", "num_hidden_layers", "n_layer", "n_layers");
    info.head_count = hyper_parameter(file, "attention.head_count", "num_attention_heads", "n_head", "n_heads");
    info.head_count_kv =
        hyper_parameter(file, "attention.head_count_kv", "num_key_value_heads", "n_head_kv", "n_kv_heads");
}

}  // namespace

ModelInfo describe(const formats::ModelFile& file, const Result<std::shared_ptr<const text::Tokenizer>>& tokenizer,
                   const Result<std::shared_ptr<const models::Model>>& model) {
    ModelInfo info;
    info.path = file.path;
    info.name = file.name;
    info.architecture = file.architecture;
    info.file_bytes = file.file_bytes;
    info.chat_template = file.vocabulary.chat_template;
    for (const formats::FoundTensor& tensor : model.ok() ? (*model)->file().tensors : file.tensors) {
        info.parameters = saturating_add(info.parameters, tensor.elements());
        ModelInfo::TypeShare& share = info.types[std::string(quant::type_info(tensor.type).name)];
        ++share.tensors;
        share.bytes = saturating_add(share.bytes, tensor.bytes());
    }
    if (model.ok()) {
        describe_dimensions((*model)->dimensions(), info);
        info.assembled_bytes = (*model)->assembled_bytes();
    } else {
        describe_claims(file, info);
    }
    info.runnable = model.ok() && tokenizer.ok();
    if (!model.ok()) {
        info.why_not = model.error();
    } else if (!tokenizer.ok()) {
        info.why_not = tokenizer.error();
    }
    return info;
}

}  // namespace puna::api
