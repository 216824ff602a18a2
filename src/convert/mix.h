// Mixes: which tensor of a model gets which type (docs/quantization.md has the table for people).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "formats/model_file.h"
#include "quant/tensor_type.h"

namespace puna::convert {

/// What a user names as the type of a file: one tensor type for most matrices, and rules for some others.
struct Mix {
    std::string_view name;    // "Q4_K_M", "Q8_0"
    quant::TensorType base;   // of every matrix that no rule names
    std::uint32_t file_type;  // as general.file_type has it, in GGUF's numbering
};

/// Null for an unknown name; letter case does not matter. "Q3_K", "Q4_K" and "Q5_K" stand for their M mixes.
const Mix* find_mix(std::string_view name);
std::span<const Mix> all_mixes();

/// What the rules ask of a model, taken from its tensors and metadata.
struct ModelTraits {
    std::uint64_t layers = 0;        // one more than the highest N of "blk.N."
    std::uint64_t heads_per_kv = 1;  // query heads that share a KV head, at most
    std::string_view head;           // the tensor that makes the logits; empty if there is none
    std::uint64_t head_columns = 0;
    bool by_importance = false;  // there is an importance matrix
};
/// All that the file knows. `file` must outlive the result.
ModelTraits traits_of(const formats::ModelFile& file);

/// Whether a mix changes the tensor's type at all: matrices of weights, but for norms, routers, position embeddings and
/// other small things that are kept at what they are.
bool is_convertible(const formats::FoundTensor& tensor);

/// The type that `mix` gives to a convertible tensor, before it is known whether its rows divide.
quant::TensorType type_in_mix(const Mix& mix, std::string_view tensor_name, const ModelTraits& traits);

/// The type in its place for rows that `type`'s blocks do not divide; `type` itself if they do. F16 at the end.
quant::TensorType type_for_rows(quant::TensorType type, std::uint64_t row_elements);

/// Whether all of `text` matches `glob`: `*` stands for any characters, `?` for one.
bool matches_glob(std::string_view glob, std::string_view text);

}  // namespace puna::convert
