#include "formats/meta/rank_list_model.h"

#include <fmt/format.h>

#include <array>
#include <cstddef>
#include <span>
#include <string_view>

namespace puna::formats::meta {
namespace {

constexpr std::size_t special_tokens = 256;

/// The first special tokens; an empty name is one that is reserved. So are all that follow. Reserved tokens are
/// counted through.
constexpr std::array<std::string_view, 10> llama3_names = {
    "<|begin_of_text|>",   "<|end_of_text|>",   "", "",          "", "",
    "<|start_header_id|>", "<|end_header_id|>", "", "<|eot_id|>"};
constexpr std::array<std::string_view, 11> llama31_names = {"<|begin_of_text|>",
                                                            "<|end_of_text|>",
                                                            "",
                                                            "",
                                                            "<|finetune_right_pad_id|>",
                                                            "",
                                                            "<|start_header_id|>",
                                                            "<|end_header_id|>",
                                                            "<|eom_id|>",
                                                            "<|eot_id|>",
                                                            "<|python_tag|>"};

}  // namespace

huggingface::RankListModel llama3_rank_list(bool scaled_rope) {
    const std::span<const std::string_view> names = scaled_rope ? std::span<const std::string_view>(llama31_names)
                                                                : std::span<const std::string_view>(llama3_names);
    huggingface::RankListModel model;
    model.pre_tokenizer = "llama-bpe";
    std::size_t reserved = 0;
    for (std::size_t i = 0; i < special_tokens; ++i) {
        const std::string_view name = i < names.size() ? names[i] : std::string_view();
        model.special_tokens.push_back(name.empty() ? fmt::format("<|reserved_special_token_{}|>", reserved++)
                                                    : std::string(name));
    }
    model.bos = "<|begin_of_text|>";
    model.eos = "<|end_of_text|>";
    model.eot = "<|eot_id|>";
    if (scaled_rope) {
        model.eom = "<|eom_id|>";
        model.pad = "<|finetune_right_pad_id|>";
    }
    return model;
}

}  // namespace puna::formats::meta
