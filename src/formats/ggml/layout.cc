// The data table of legacy header layouts.
#include "formats/ggml/layout.h"

#include <fmt/format.h>

#include <algorithm>

namespace puna::formats::ggml {
namespace {

constexpr std::array llama = {HeaderField{"n_vocab"},
                              HeaderField{"n_embd"},
                              HeaderField{"n_mult"},
                              HeaderField{"n_head"},
                              HeaderField{"n_layer"},
                              HeaderField{"n_rot"},
                              HeaderField{"ftype", FieldKind::file_type}};
constexpr std::array gpt2 = {HeaderField{"n_vocab"}, HeaderField{"n_ctx"},
                             HeaderField{"n_embd"},  HeaderField{"n_head"},
                             HeaderField{"n_layer"}, HeaderField{"ftype", FieldKind::file_type}};
constexpr std::array gptj = {HeaderField{"n_vocab"},
                             HeaderField{"n_ctx"},
                             HeaderField{"n_embd"},
                             HeaderField{"n_head"},
                             HeaderField{"n_layer"},
                             HeaderField{"n_rot"},
                             HeaderField{"ftype", FieldKind::file_type}};
constexpr std::array gptneox = {HeaderField{"n_vocab"},
                                HeaderField{"n_ctx"},
                                HeaderField{"n_embd"},
                                HeaderField{"n_head"},
                                HeaderField{"n_layer"},
                                HeaderField{"n_rot"},
                                HeaderField{"use_parallel_residual", FieldKind::number},
                                HeaderField{"ftype", FieldKind::file_type}};
constexpr std::array bloom = {HeaderField{"n_vocab"}, HeaderField{"n_embd"},
                              HeaderField{"n_mult"},  HeaderField{"n_head"},
                              HeaderField{"n_layer"}, HeaderField{"ftype", FieldKind::file_type}};
constexpr std::array mpt = {HeaderField{"n_embd"},
                            HeaderField{"n_ctx"},
                            HeaderField{"n_head"},
                            HeaderField{"n_layer"},
                            HeaderField{"n_vocab"},
                            HeaderField{"alibi_bias_max", FieldKind::real},
                            HeaderField{"clip_kqv", FieldKind::real},
                            HeaderField{"ftype", FieldKind::file_type}};
constexpr std::array falcon = {HeaderField{"n_vocab"}, HeaderField{"n_embd"},
                               HeaderField{"n_head"},  HeaderField{"n_head_kv"},
                               HeaderField{"n_layer"}, HeaderField{"ftype", FieldKind::file_type}};

constexpr std::array layouts = {
    Layout{"llama", llama, false, "tok_embeddings.weight", true},
    Layout{"gpt2", gpt2, true, "model/wte"},
    Layout{"gptj", gptj, true, "transformer.wte.weight"},
    Layout{"gptneox", gptneox, false, "gpt_neox.embed_in.weight"},
    Layout{"bloom", bloom, false, "tok_embeddings.weight"},
    Layout{"mpt", mpt, false, "transformer.wte.weight"},
    Layout{"falcon", falcon, false, "transformer.word_embeddings.weight"},
};

constexpr std::array file_types = {
    FileType{0, "F32"},
    FileType{1, "F16"},
    FileType{2, "Q4_0"},
    FileType{3, "Q4_1"},
    FileType{4, "Q4_1, some F16"},
    FileType{5, "Q4_2", true},
    FileType{6, "Q4_3", true},
    FileType{7, "Q8_0"},
    FileType{8, "Q5_0"},
    FileType{9, "Q5_1"},
    FileType{10, "Q2_K"},
    FileType{11, "Q3_K_S"},
    FileType{12, "Q3_K_M"},
    FileType{13, "Q3_K_L"},
    FileType{14, "Q4_K_S"},
    FileType{15, "Q4_K_M"},
    FileType{16, "Q5_K_S"},
    FileType{17, "Q5_K_M"},
    FileType{18, "Q6_K"},
};

}  // namespace

std::string Container::name() const {
    if (magic == ggml_magic) return "GGML without version";
    return fmt::format("{} v{}", magic == ggmf_magic ? "GGMF" : "GGJT", version);
}

const FileType* find_file_type(std::uint32_t id) {
    const auto* found =
        std::find_if(file_types.begin(), file_types.end(), [&](const FileType& type) { return type.id == id; });
    return found == file_types.end() ? nullptr : found;
}

std::span<const Layout> all_layouts() {
    return layouts;
}

}  // namespace puna::formats::ggml
