// The LLaMA family's names in each dialect.
#pragma once

#include "models/dialect.h"

namespace puna::models::llama {

/// Hyper-parameters. The formats before GGUF and Meta's own leave some out: what the user says of them has these names
/// too.
namespace key {
constexpr Names layers = {"llama.block_count", "num_hidden_layers", "n_layer", "n_layers"};
constexpr Names embedding = {"llama.embedding_length", "hidden_size", "n_embd", "dim"};
constexpr Names feed_forward = {"llama.feed_forward_length", "intermediate_size"};
constexpr Names vocabulary = {"llama.vocab_size", "vocab_size", "", "vocab_size"};
constexpr Names heads = {"llama.attention.head_count", "num_attention_heads", "n_head", "n_heads"};
constexpr Names rotated = {"llama.rope.dimension_count", "", "n_rot"};
constexpr Names head_dim = {"llama.attention.key_length", "head_dim", "", "head_dim"};
constexpr Names value_dim = {"llama.attention.value_length"};
constexpr Names experts = {"llama.expert_count", "num_local_experts"};
constexpr Names kv_heads = {"llama.attention.head_count_kv", "num_key_value_heads", "n_head_kv", "n_kv_heads"};
constexpr Names context = {"llama.context_length", "max_position_embeddings", "n_ctx", "max_seq_len"};
constexpr Names eps = {"llama.attention.layer_norm_rms_epsilon", "rms_norm_eps", "norm_eps", "norm_eps"};
constexpr Names rope_base = {"llama.rope.freq_base", "rope_theta", "rope_freq_base", "rope_theta"};
}  // namespace key

/// Tensors. The formats before GGUF have Meta's names.
namespace name {
constexpr Names names(std::string_view gguf, std::string_view huggingface, std::string_view meta) {
    return {gguf, huggingface, meta, meta};
}
constexpr Names embedding = names("token_embd.weight", "model.embed_tokens.weight", "tok_embeddings.weight");
constexpr Names attention_norm =
    names("blk.{}.attn_norm.weight", "model.layers.{}.input_layernorm.weight", "layers.{}.attention_norm.weight");
constexpr Names q =
    names("blk.{}.attn_q.weight", "model.layers.{}.self_attn.q_proj.weight", "layers.{}.attention.wq.weight");
constexpr Names k =
    names("blk.{}.attn_k.weight", "model.layers.{}.self_attn.k_proj.weight", "layers.{}.attention.wk.weight");
constexpr Names v =
    names("blk.{}.attn_v.weight", "model.layers.{}.self_attn.v_proj.weight", "layers.{}.attention.wv.weight");
constexpr Names attention_output =
    names("blk.{}.attn_output.weight", "model.layers.{}.self_attn.o_proj.weight", "layers.{}.attention.wo.weight");
constexpr Names feed_forward_norm =
    names("blk.{}.ffn_norm.weight", "model.layers.{}.post_attention_layernorm.weight", "layers.{}.ffn_norm.weight");
constexpr Names gate =
    names("blk.{}.ffn_gate.weight", "model.layers.{}.mlp.gate_proj.weight", "layers.{}.feed_forward.w1.weight");
constexpr Names up =
    names("blk.{}.ffn_up.weight", "model.layers.{}.mlp.up_proj.weight", "layers.{}.feed_forward.w3.weight");
constexpr Names down =
    names("blk.{}.ffn_down.weight", "model.layers.{}.mlp.down_proj.weight", "layers.{}.feed_forward.w2.weight");
constexpr Names output_norm = names("output_norm.weight", "model.norm.weight", "norm.weight");
constexpr Names output = names("output.weight", "lm_head.weight", "output.weight");
}  // namespace name

/// Whether RoPE's pairs stand side by side in the rows of q and k, as Meta published them, or in halves.
constexpr bool pairs_interleaved(formats::Dialect dialect) {
    return dialect != formats::Dialect::huggingface;
}

}  // namespace puna::models::llama
