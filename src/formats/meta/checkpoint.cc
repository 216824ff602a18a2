#include "formats/meta/checkpoint.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string_view>
#include <system_error>
#include <utility>
#include <variant>

#include "base/try.h"
#include "formats/folder.h"
#include "formats/huggingface/side_files.h"
#include "formats/huggingface/vocabulary.h"
#include "formats/malformed.h"
#include "formats/meta/rank_list_model.h"
#include "formats/pieces.h"
#include "formats/weights.h"

namespace puna::formats::meta {
namespace {

using huggingface::SideFiles;

constexpr std::string_view parameters_name = "params.json";
constexpr std::string_view embedding_name = "tok_embeddings.weight";
constexpr std::size_t max_parts = 64;  // puna's own, far above what real models have
constexpr std::string_view repair = "put all files of one model, and no others, into one folder";

/// What params.json is known to say. Anything else might change the computation.
constexpr std::array<std::string_view, 20> known_keys = {"dim",
                                                         "ffn_dim_multiplier",
                                                         "head_dim",
                                                         "hidden_dim",
                                                         "max_batch_size",
                                                         "max_seq_len",
                                                         "model_parallel_size",
                                                         "model_type",
                                                         "multiple_of",
                                                         "n_heads",
                                                         "n_kv_heads",
                                                         "n_layers",
                                                         "norm_eps",
                                                         "rope_freq_base",
                                                         "rope_high_freq_factor",
                                                         "rope_scaling_factor",
                                                         "rope_theta",
                                                         "sliding_window",
                                                         "use_scaled_rope",
                                                         "vocab_size"};

std::string part_name(std::size_t index) {
    return fmt::format("consolidated.{:02}.pth", index);
}

/// Whether the path's last name is that of one of several files.
bool is_part_name(const std::string& path) {
    const std::string name = path.substr(folder_of(path).size());
    for (std::size_t i = 0; i < max_parts; ++i) {
        if (name == part_name(i)) return true;
    }
    return false;
}

std::size_t count_files(const SideFiles& files) {
    std::size_t count = 1;
    while (count < max_parts && files.exists(part_name(count)))
        ++count;
    return count;
}

Result<void> add_parameters(const SideFiles& files, ModelFile& model) {
    model.metadata_path = files.path(parameters_name);
    PUNA_TRY(const auto parameters, files.read_json(parameters_name));
    if (!parameters) {
        return Error{ErrorCode::file_not_found, fmt::format("{} is missing", printable_path(model.metadata_path)),
                     std::string(repair)};
    }
    const Json root = parameters->root();
    for (Json member = root.first(); member.exists(); member = member.next()) {
        if (std::find(known_keys.begin(), known_keys.end(), member.key()) != known_keys.end()) continue;
        Error error = member.malformed(fmt::format("key '{}'", printable(member.key())),
                                       "is not known to puna, and may change what the model computes");
        error.code = ErrorCode::unsupported_architecture;
        error.hint = "take the model as a Hugging Face folder or a GGUF file";
        return error;
    }
    huggingface::add_values(root, "", model.metadata);
    return {};
}

/// How the embedding tells in how many files the model lies, and how many tokens it has rows for.
struct Cut {
    std::optional<std::uint64_t> parts;  // none where it does not tell
    std::uint64_t rows_of_part = 0;
    bool by_columns = false;
};

/// LLaMA 1 and 2 are cut by the embedding's columns, LLaMA 3 by its rows. Of values that cannot be, nothing is told
/// here: whoever computes with them checks them.
Cut cut_of(const ModelFile& model) {
    const FoundTensor* embedding = model.find_tensor(embedding_name);
    const auto dim = model.metadata.unsigned_integer("dim");
    if (embedding == nullptr || embedding->shape.size() != 2 || !dim.ok() || !*dim) return {};
    const std::uint64_t rows = embedding->shape[0];
    const std::uint64_t columns = embedding->shape[1];
    if (columns > 0 && columns < **dim && **dim % columns == 0) return {**dim / columns, rows, true};
    const auto vocabulary = model.metadata.unsigned_integer("vocab_size");  // may be -1
    if (columns != **dim || !vocabulary.ok() || !*vocabulary || rows == 0 || **vocabulary % rows != 0)
        return {std::nullopt, rows, false};
    return {**vocabulary / rows, rows, false};
}

Result<void> check_count(const SideFiles& files, const ModelFile& model, const Cut& cut, std::size_t count) {
    if (!cut.parts || *cut.parts == count) return {};
    const std::string embedding = model.find_tensor(embedding_name)->describe();
    if (*cut.parts < count) {
        return malformed(files.path(part_name(count - 1)),
                         fmt::format("the model is in {} parts, says {} of the first", *cut.parts, embedding), 0,
                         repair);
    }
    return Error{ErrorCode::file_not_found,
                 fmt::format("{} is missing: the model is in {} parts, says {} of the first",
                             printable_path(files.path(part_name(count))), *cut.parts, embedding),
                 std::string(repair)};
}

Result<void> add_other_parts(const SideFiles& files, std::size_t count, ModelFile& model) {
    for (std::size_t i = 1; i < count; ++i) {
        PUNA_TRY(const auto mapping, base::FileMapping::open(files.path(part_name(i))));
        PUNA_TRY(TensorFile part, read_tensor_file(mapping));
        PUNA_CHECK(add_pieces(std::move(part.tensors), mapping, model));
    }
    if (count == 1) return {};
    for (FoundTensor& tensor : model.tensors)
        tensor.unmerged = true;
    model.format += fmt::format(", {} files", count);
    return {};
}

/// `rows`: of the embedding; 0 if there is none.
Result<void> set_vocabulary_size(std::uint64_t rows, ModelFile& model) {
    const MetadataValue* value = model.metadata.find("vocab_size");
    const auto* negative = value == nullptr ? nullptr : std::get_if<std::int64_t>(value);
    if ((value == nullptr && !model.metadata.unheld.contains("vocab_size")) ||
        (negative != nullptr && *negative == -1)) {
        if (rows > 0) model.metadata.values["vocab_size"] = rows;
        if (rows == 0) model.metadata.values.erase("vocab_size");
        return {};
    }
    PUNA_CHECK(in_file(model.metadata_path, model.metadata.unsigned_integer("vocab_size")));
    return {};
}

/// The tokenizer lies beside the weights, or in the folder above, where several sizes share it.
SideFiles tokenizer_files(const std::string& folder) {
    SideFiles here(folder);
    SideFiles above(folder + "../");
    const bool is_here = here.exists("tokenizer.model") || here.exists("tokenizer.json");
    return is_here || !above.exists("tokenizer.model") ? here : above;
}

}  // namespace

bool is_checkpoint(const std::string& weights_path) {
    const SideFiles files(folder_of(weights_path));
    return files.exists(parameters_name) && (is_part_name(weights_path) || !files.exists("config.json"));
}

Result<std::shared_ptr<const ModelFile>> read_model(const std::string& path,
                                                    const std::shared_ptr<const base::FileMapping>& weights) {
    const std::string folder = folder_of(weights->path());
    const SideFiles files(folder);
    const bool in_parts = is_part_name(weights->path());
    std::shared_ptr<const base::FileMapping> first = weights;
    if (in_parts && files.exists(part_name(0))) {
        PUNA_TRY(first, base::FileMapping::open(files.path(part_name(0))));
    }
    auto model = std::make_shared<ModelFile>();
    model->path = path;
    model->dialect = Dialect::meta;
    model->architecture = "llama";
    model->name = name_of_folder(folder);
    PUNA_CHECK(add_parameters(files, *model));
    PUNA_CHECK(add_weights(first, *model));
    const Cut cut = cut_of(*model);
    const std::size_t count = in_parts ? count_files(files) : 1;
    PUNA_CHECK(check_count(files, *model, cut, count));
    PUNA_CHECK(add_other_parts(files, count, *model));
    PUNA_CHECK(set_vocabulary_size(cut.rows_of_part * (cut.by_columns ? 1 : count), *model));
    const auto scaled_rope = model->metadata.boolean("use_scaled_rope");  // whoever computes with it checks it
    const huggingface::RankListModel rank_list = llama3_rank_list(scaled_rope.ok() && scaled_rope->value_or(false));
    PUNA_TRY(model->vocabulary,
             huggingface::read_vocabulary(tokenizer_files(folder), model->metadata, parameters_name, &rank_list));
    PUNA_CHECK(model->check_mappings());
    return std::shared_ptr<const ModelFile>(std::move(model));
}

}  // namespace puna::formats::meta
