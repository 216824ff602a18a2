#!/usr/bin/env python3
"""Makes the expected values of tests/models: what Transformers computes in float32 on the same weights.

Needs torch, transformers, tokenizers, gguf and numpy in a virtual environment outside the project, and the demo model.
usage: make_oracle.py DEMO_MODEL.gguf [OUT_DIR]     (default OUT_DIR: tests/models/data; a few minutes)

Writes
  smollm2_oracle.json     five prompts on the demo model: top log-probabilities, greedy chains with margins; perplexity
  tiny_oracle.json        logits of small random models with features that the demo model lacks
  tiny_*.gguf             those models
"""
import hashlib
import json
import math
import os
import sys

import gguf
import numpy as np
import torch
import transformers
from gguf.quants import dequantize, quantize
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM, MistralConfig, MistralForCausalLM

Type = gguf.GGMLQuantizationType

LONG_PROMPT = """\
The puna is a cold, dry grassland of the high Andes. It lies between the upper limit of the trees, at about \
3,200 metres, and the lower limit of permanent snow, at some 5,000 metres, and it stretches from the middle of \
Peru through western Bolivia to the north of Argentina and Chile. Nights of frost are common in every month, \
and on a clear winter day the difference between noon and midnight can be more than twenty-five degrees. Rain \
falls mostly between November and March; in the north there is enough of it for bunch grasses, cushion plants \
and small shrubs, while in the south and west the land becomes a desert of salt flats and volcanoes.

People have lived in this country for more than ten thousand years. They hunted the wild guanaco and vicuna \
first, and later bred from them the llama, which carries loads, and the alpaca, which gives wool. A llama can \
carry a quarter of its own weight for many hours, needs little water, and eats what it finds by the way. When \
it has been given too much to carry, it sits down and will not move until some of the load has been taken off.

Caravans of llamas brought salt, dried meat and potatoes from the high plains down to the valleys, and carried \
maize, coca and pottery back. Some journeys took two months. The drivers knew every spring, every pass and \
every place to spend the night, and they"""

# name, text, whether control tokens spelled out in the text are read as such
PROMPTS = [
    ("english", "The capital of France is", False),
    ("code", 'def fibonacci(n):\n    """Return the n-th Fibonacci number."""\n    if n < 2:\n        return n\n    return',
     False),
    ("multilingual", "¡Buenos días! Las montañas de los Andes — 安第斯山脉 — جبال الأنديز. Один, два, три, 4567. "
                     "El animal más conocido del altiplano es", False),
    ("chat", "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\nName three animals that "
             "live in the mountains.<|im_end|>\n<|im_start|>assistant\n", True),
    ("long", LONG_PROMPT, False),
]
TOP = 64
CHAIN = 32
PERPLEXITY_TEXT = "/usr/share/common-licenses/GFDL-1.3"
CHUNK = 512


def rounded(values, digits=9):
    return [float(f"{v:.{digits}g}") for v in values]


# --- the demo model -------------------------------------------------------------------------------------------------

def byte_level_tokenizer(reader):
    """The vocabulary's own rules, SmolLM's pre-tokenizer: single digits, then GPT-2's words."""
    tokens = reader.fields["tokenizer.ggml.tokens"].contents()
    merges = reader.fields["tokenizer.ggml.merges"].contents()
    kinds = reader.fields["tokenizer.ggml.token_type"].contents()
    assert reader.fields["tokenizer.ggml.pre"].contents() == "smollm"
    assert not reader.fields["tokenizer.ggml.add_bos_token"].contents()
    tokenizer = Tokenizer(models.BPE(vocab={t: i for i, t in enumerate(tokens)},
                                     merges=[tuple(m.split(" ")) for m in merges]))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    tokenizer.decoder = decoders.ByteLevel()
    control = [t for t, kind in zip(tokens, kinds) if kind == gguf.TokenType.CONTROL]
    return tokenizer, control


def interleaved_to_halves(rows, heads):
    """Rows of a query or key projection, head by head: GGUF has RoPE's pairs side by side, Transformers in halves."""
    r = rows.reshape(heads, rows.shape[0] // heads // 2, 2, *rows.shape[1:])
    return np.ascontiguousarray(r.swapaxes(1, 2)).reshape(rows.shape)


def halves_to_interleaved(rows, heads):
    r = rows.reshape(heads, 2, rows.shape[0] // heads // 2, *rows.shape[1:])
    return np.ascontiguousarray(r.swapaxes(1, 2)).reshape(rows.shape)


GGUF_LAYER_NAMES = {
    "input_layernorm": "attn_norm", "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output", "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down"}
GGUF_NAMES = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}


def gguf_name(name):
    """`model.layers.3.mlp.up_proj.weight` -> `blk.3.ffn_up.weight`."""
    stem = name.removesuffix(".weight")
    if stem in GGUF_NAMES:
        return GGUF_NAMES[stem] + ".weight"
    _, _, layer, rest = stem.split(".", 3)
    return f"blk.{layer}.{GGUF_LAYER_NAMES[rest]}.weight"


def check_weights(model, reader):
    """The loaded parameters equal the file's decoded tensors, value for value; the output head is tied."""
    tensors = {t.name: dequantize(t.data, t.tensor_type) for t in reader.tensors}
    config = model.config
    assert model.get_output_embeddings().weight is model.get_input_embeddings().weight
    assert "output.weight" not in tensors
    seen = set()
    for name, parameter in model.named_parameters():
        expected = tensors[gguf_name(name)]
        if name.endswith("q_proj.weight"):
            expected = interleaved_to_halves(expected, config.num_attention_heads)
        if name.endswith("k_proj.weight"):
            expected = interleaved_to_halves(expected, config.num_key_value_heads)
        assert parameter.dtype == torch.float32
        assert np.array_equal(parameter.detach().numpy(), expected), name
        seen.add(gguf_name(name))
    assert seen == set(tensors), set(tensors) ^ seen
    field = lambda key: reader.fields["llama." + key].contents()
    assert config.num_key_value_heads == field("attention.head_count_kv")
    assert config.rope_parameters["rope_theta"] == field("rope.freq_base")
    assert np.float32(config.rms_norm_eps) == np.float32(field("attention.layer_norm_rms_epsilon"))
    assert config._attn_implementation == "eager"


@torch.inference_mode()
def greedy_chain(model, prompt):
    ids, margins = list(prompt), []
    for _ in range(CHAIN):
        best = torch.topk(model(torch.tensor([ids])).logits[0, -1], 2)
        ids.append(int(best.indices[0]))
        margins.append(float(best.values[0] - best.values[1]))
    return ids[len(prompt):], margins


@torch.inference_mode()
def prompt_oracle(model, tokenizer, control, name, text, parse_special):
    if parse_special:
        tokenizer.add_special_tokens([AddedToken(t, normalized=False) for t in control])
    prompt = tokenizer.encode(text, add_special_tokens=False).ids
    chain, margins = greedy_chain(model, prompt)
    ids = prompt + chain
    # Logits of row i predict token i + 1: two rows of the prompt, two of the chain.
    positions = sorted({len(prompt) // 2, len(prompt) - 1, len(prompt) + 9, len(ids) - 1})
    logits = model(torch.tensor([ids])).logits[0].double()
    log_probabilities = torch.log_softmax(logits, dim=-1)
    rows = []
    for position in positions:
        top = torch.topk(log_probabilities[position], TOP)
        rows.append({"position": position, "ids": top.indices.tolist(), "logprobs": rounded(top.values.tolist(), 8)})
    print(f"{name}: {len(prompt)} tokens, least margin {min(margins):.4f}: {tokenizer.decode(chain)[:80]!r}")
    return {"name": name, "text": text, "parse_special": parse_special, "prompt": prompt, "chain": chain,
            "margins": rounded(margins, 6), "rows": rows}


@torch.inference_mode()
def perplexity_oracle(model, tokenizer):
    """Chunks of CHUNK tokens without overlap; the last CHUNK / 2 - 1 predictions of each count."""
    raw = open(PERPLEXITY_TEXT, "rb").read()
    ids = tokenizer.encode(raw.decode(), add_special_tokens=False).ids
    chunks = len(ids) // CHUNK
    first = CHUNK // 2
    chunk_nll = []
    for c in range(chunks):
        chunk = torch.tensor(ids[c * CHUNK:(c + 1) * CHUNK])
        log_probabilities = torch.log_softmax(model(chunk[None]).logits[0].double(), dim=-1)
        scored = log_probabilities[first:CHUNK - 1].gather(1, chunk[first + 1:, None])
        assert scored.shape[0] == CHUNK // 2 - 1
        chunk_nll.append(float(-scored.sum()))
    scored = chunks * (CHUNK // 2 - 1)
    value = math.exp(sum(chunk_nll) / scored)
    print(f"perplexity {value:.6f} over {chunks} chunks, {scored} predictions, {len(ids)} tokens")
    return {"file": PERPLEXITY_TEXT, "sha256": hashlib.sha256(raw).hexdigest(), "tokens": len(ids), "chunk": CHUNK,
            "chunks": chunks, "tokens_scored": scored, "perplexity": float(f"{value:.9g}"),
            "chunk_nll": rounded(chunk_nll)}


def make_demo_oracle(path, out_dir):
    reader = gguf.GGUFReader(path)
    folder, file = os.path.split(os.path.abspath(path))
    model = AutoModelForCausalLM.from_pretrained(folder, gguf_file=file, dtype=torch.float32,
                                                 attn_implementation="eager")
    model.eval()
    check_weights(model, reader)
    tokenizer, control = byte_level_tokenizer(reader)
    perplexity = perplexity_oracle(model, tokenizer)  # before control tokens are made known to the tokenizer
    prompts = [prompt_oracle(model, tokenizer, control, *p) for p in sorted(PROMPTS, key=lambda p: p[2])]
    write_json(os.path.join(out_dir, "smollm2_oracle.json"),
               {"made_with": versions(), "model": file,
                "model_sha256": hashlib.sha256(open(path, "rb").read()).hexdigest(), "top": TOP,
                "prompts": prompts, "perplexity": perplexity})


# --- small random models --------------------------------------------------------------------------------------------

VOCABULARY = 288
SEQUENCE = 40
LOGIT_ROWS = [1, 20, 39]


def tiny_models():
    """name, config, tensor types by GGUF layer name (F32 where not named), what the model is there for."""
    plain = dict(rope_type="default", rope_theta=10000.0)
    linear = dict(rope_type="linear", rope_theta=10000.0, factor=4.0)
    llama3 = dict(rope_type="llama3", rope_theta=10000.0, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
                  original_max_position_embeddings=256)
    types = {"token_embd": Type.Q8_0, "output": Type.F16, "attn_q": Type.F16, "attn_k": Type.BF16,
             "attn_v": Type.Q8_0, "attn_output": Type.Q4_0, "ffn_gate": Type.Q5_0, "ffn_up": Type.Q5_1,
             "ffn_down": Type.Q4_1}

    def config(kind, width, feed_forward, heads, kv_heads, tied, rope, epsilon=1e-5, **more):
        return kind(vocab_size=VOCABULARY, max_position_embeddings=2048, num_hidden_layers=2, hidden_size=width,
                    intermediate_size=feed_forward, num_attention_heads=heads, num_key_value_heads=kv_heads,
                    rms_norm_eps=epsilon, tie_word_embeddings=tied, rope_parameters=rope, **more)

    yield ("tiny_llama1", config(LlamaConfig, 32, 56, 4, 4, False, plain, 1e-6), {},
           "as many KV heads as heads; a separate output matrix")
    yield ("tiny_llama3", config(LlamaConfig, 32, 48, 2, 1, True, llama3), {},
           "RoPE frequencies divided by rope_freqs.weight, as in Llama 3.1; tied output")
    yield ("tiny_linear_rope", config(LlamaConfig, 32, 48, 4, 2, True, linear), {},
           "linear RoPE scaling by 4")
    yield ("tiny_mistral", config(MistralConfig, 48, 40, 4, 1, False, plain | {"rope_theta": 1e6}, head_dim=16,
                                  sliding_window=None), {},
           "heads wider than width / heads (attention.key_length), as in Mistral Nemo")
    yield ("tiny_mixed_types", config(LlamaConfig, 64, 96, 4, 2, False, plain), types,
           "a tensor type for each kind of tensor")


def randomize(model, rng):
    """Weights large enough for attention to choose and for logits to differ."""
    for name, parameter in model.named_parameters():
        if name.endswith("norm.weight"):
            values = 1 + 0.25 * rng.standard_normal(parameter.shape)
        elif name.endswith("embed_tokens.weight"):
            values = 0.5 * rng.standard_normal(parameter.shape)
        else:
            gain = 2.0 if "q_proj" in name or "k_proj" in name else 1.2
            values = gain * rng.standard_normal(parameter.shape) / math.sqrt(parameter.shape[1])
        with torch.no_grad():
            parameter.copy_(torch.tensor(values.astype(np.float32)))


def llama3_factors(config):
    """What Llama 3.1 divides RoPE's frequencies by (Grattafiori et al. 2024; config.json's rope_scaling)."""
    rope = config.rope_parameters
    frequencies = rope["rope_theta"] ** (-np.arange(0, config.head_dim, 2, dtype=np.float64) / config.head_dim)
    turns = rope["original_max_position_embeddings"] * frequencies / (2 * np.pi)
    smooth = (turns - rope["low_freq_factor"]) / (rope["high_freq_factor"] - rope["low_freq_factor"])
    smooth = np.clip(smooth, 0, 1)
    factors = (1 / (smooth + (1 - smooth) / rope["factor"])).astype(np.float32)
    assert len(set(factors)) > 2  # all three ranges occur
    return factors


def tiny_vocabulary(w):
    tokens = ["<unk>", "<s>", "</s>"] + [f"<0x{b:02X}>" for b in range(256)] + ["\u2581"]
    tokens += [chr(c) for c in range(ord("a"), ord("z") + 1)]
    tokens += [f"\u2581{chr(c)}" for c in range(ord("a"), ord("a") + VOCABULARY - len(tokens))]
    T = gguf.TokenType
    kinds = [T.UNKNOWN, T.CONTROL, T.CONTROL] + [T.BYTE] * 256 + [T.NORMAL] * (VOCABULARY - 259)
    assert len(tokens) == VOCABULARY
    w.add_tokenizer_model("llama")
    w.add_token_list(tokens)
    w.add_token_scores([-float(i) for i in range(VOCABULARY)])
    w.add_token_types([int(k) for k in kinds])
    w.add_bos_token_id(1)
    w.add_eos_token_id(2)


def export_tiny(model, name, types, path):
    """Writes the GGUF and sets the model's parameters to what the written tensors decode to."""
    config = model.config
    w = gguf.GGUFWriter(path, "llama")
    w.add_name(name)
    w.add_vocab_size(VOCABULARY)
    w.add_context_length(config.max_position_embeddings)
    w.add_embedding_length(config.hidden_size)
    w.add_block_count(config.num_hidden_layers)
    w.add_feed_forward_length(config.intermediate_size)
    w.add_head_count(config.num_attention_heads)
    w.add_head_count_kv(config.num_key_value_heads)
    w.add_layer_norm_rms_eps(config.rms_norm_eps)
    w.add_rope_dimension_count(config.head_dim)
    w.add_rope_freq_base(config.rope_parameters["rope_theta"])
    if config.head_dim * config.num_attention_heads != config.hidden_size:
        w.add_key_length(config.head_dim)
        w.add_value_length(config.head_dim)
    if config.rope_parameters["rope_type"] == "linear":
        w.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        w.add_rope_scaling_factor(config.rope_parameters["factor"])
    tiny_vocabulary(w)
    if config.rope_parameters["rope_type"] == "llama3":
        w.add_tensor("rope_freqs.weight", llama3_factors(config))
    for parameter_name, parameter in model.named_parameters():
        target = gguf_name(parameter_name)
        values = parameter.detach().numpy().copy()
        heads = {"attn_q": config.num_attention_heads, "attn_k": config.num_key_value_heads}.get(target.split(".")[-2])
        if heads:
            values = halves_to_interleaved(values, heads)
        kind = types.get(target.split(".")[-2], Type.F32)
        data = quantize(values, kind)
        w.add_tensor(target, data, raw_dtype=kind)
        decoded = dequantize(data, kind)
        if heads:
            decoded = interleaved_to_halves(decoded, heads)
        with torch.no_grad():
            parameter.copy_(torch.tensor(decoded))
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


@torch.inference_mode()
def check_rope_matters(model, tokens, logits):
    """A reader that ignored the scaling would be far outside the test's tolerance."""
    config = model.config
    if config.rope_parameters["rope_type"] == "default":
        return
    unscaled = {"rope_type": "default", "rope_theta": config.rope_parameters["rope_theta"]}
    plain = LlamaForCausalLM(LlamaConfig.from_dict(config.to_dict() | {"rope_parameters": unscaled}))
    plain.set_attn_implementation("eager")
    plain.load_state_dict(model.state_dict())
    assert (plain(torch.tensor([tokens])).logits[0] - logits).abs().max() > 0.1


@torch.inference_mode()
def make_tiny_oracle(out_dir):
    rng = np.random.default_rng(20)
    result = []
    for name, config, types, purpose in tiny_models():
        config._attn_implementation = "eager"
        model = (MistralForCausalLM if isinstance(config, MistralConfig) else LlamaForCausalLM)(config).float().eval()
        randomize(model, rng)
        path = os.path.join(out_dir, name + ".gguf")
        export_tiny(model, name, types, path)
        tokens = rng.integers(3, VOCABULARY, SEQUENCE).tolist()
        logits = model(torch.tensor([tokens])).logits[0]
        check_rope_matters(model, tokens, logits)
        rows = [{"position": p, "logits": rounded(logits[p].double().tolist(), 7)} for p in LOGIT_ROWS]
        print(f"{name}: {os.path.getsize(path)} bytes, logits' spread {logits.std():.2f}")
        result.append({"file": name + ".gguf", "purpose": purpose, "tokens": tokens, "rows": rows})
    write_json(os.path.join(out_dir, "tiny_oracle.json"), {"made_with": versions(), "models": result})


# --------------------------------------------------------------------------------------------------------------------

def versions():
    return f"transformers {transformers.__version__}, torch {torch.__version__.split('+')[0]}, gguf {gguf_version()}"


def gguf_version():
    from importlib.metadata import version
    return version("gguf")


def write_json(path, value):
    """One line for each entry of the outer lists, so that changes can be seen."""
    lines = []
    for key, item in value.items():
        if isinstance(item, list):
            body = ",\n".join("  " + json.dumps(entry, separators=(",", ":"), ensure_ascii=False) for entry in item)
            lines.append(f' {json.dumps(key)}: [\n{body}\n ]')
        else:
            lines.append(f" {json.dumps(key)}: {json.dumps(item, ensure_ascii=False)}")
    with open(path, "w", encoding="utf-8") as f:
        f.write("{\n" + ",\n".join(lines) + "\n}\n")
    print(f"{path}: {os.path.getsize(path)} bytes")


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    out_dir = sys.argv[2] if len(sys.argv) > 2 else os.path.join(here, "..", "tests", "models", "data")
    os.makedirs(out_dir, exist_ok=True)
    make_tiny_oracle(out_dir)
    make_demo_oracle(sys.argv[1], out_dir)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main()
