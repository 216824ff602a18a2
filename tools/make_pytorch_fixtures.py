#!/usr/bin/env python3
"""Writes what the tests read of PyTorch's formats, with torch.save itself.

Needs Python with torch, numpy and gguf. Usage: tools/make_pytorch_fixtures.py

tests/models/data/pytorch: the model of tests/models/data/ggml/llama1_f16.gguf (matrices in F16, vectors in F32)
  shards/     a Hugging Face folder: two archives and their index
  stream/     the same, one file in the format before 1.6
  meta/       consolidated.00.pth and .01.pth, cut as Meta cuts up to LLaMA 2, and params.json
  meta3/      a random model as Meta publishes Llama 3.1: consolidated.00.pth in BF16, params.json, and a list of ranks
              that make_rank_list_fixtures.py wrote
tests/formats/data/pytorch: small tensors, and what torch says they hold
  views_{2,4}.pth, views_stream.pth    views of all kinds, in protocols 2 and 4, and in the format before 1.6
  types.pth                            an element of every type that is read
  expected.json                        of each file: name -> [type, shape, bytes in row-major order, hexadecimal]
"""

import collections
import json
import pathlib
import shutil

import gguf
import numpy as np
import torch
from gguf.quants import dequantize

ROOT = pathlib.Path(__file__).resolve().parent.parent
MODELS = ROOT / "tests" / "models" / "data"
SMALL = ROOT / "tests" / "formats" / "data" / "pytorch"

META_LAYER_NAMES = {
    "attn_norm": "attention_norm", "attn_q": "attention.wq", "attn_k": "attention.wk", "attn_v": "attention.wv",
    "attn_output": "attention.wo", "ffn_norm": "ffn_norm", "ffn_gate": "feed_forward.w1",
    "ffn_down": "feed_forward.w2", "ffn_up": "feed_forward.w3"}
HF_LAYER_NAMES = {
    "attn_norm": "input_layernorm", "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj", "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj"}
CUT_BY_COLUMNS = ("tok_embeddings.weight", "attention.wo.weight", "feed_forward.w2.weight")
TYPES = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16,
         "F8_E4M3": torch.float8_e4m3fn, "F8_E5M2": torch.float8_e5m2, "I64": torch.int64, "I32": torch.int32,
         "I16": torch.int16, "I8": torch.int8, "U64": torch.uint64, "U32": torch.uint32, "U16": torch.uint16,
         "U8": torch.uint8, "BOOL": torch.bool}
STREAM = {"_use_new_zipfile_serialization": False}


def dump(path, value):
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


# --- a model ------------------------------------------------------------------------------------------------------

def renamed(name, layer_names, prefix, names):
    stem = name.removesuffix(".weight")
    if stem in names:
        return names[stem] + ".weight"
    _, layer, rest = stem.split(".")
    return f"{prefix}layers.{layer}.{layer_names[rest]}.weight"


def interleaved_to_halves(rows, heads):
    """GGUF has RoPE's pairs side by side, Transformers in halves of each head."""
    r = rows.reshape(heads, rows.shape[0] // heads // 2, 2, rows.shape[1])
    return np.ascontiguousarray(r.swapaxes(1, 2)).reshape(rows.shape)


def cut(name, array, part, parts):
    if array.ndim == 1:
        return array
    return np.split(array, parts, axis=1 if name.endswith(CUT_BY_COLUMNS) else 0)[part]


def tensor(array):
    return torch.from_numpy(np.ascontiguousarray(array))


def write_hugging_face(folder, config, tensors, write):
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    dump(folder / "config.json", config)
    source = MODELS / "huggingface" / "tiny_llama1"
    for name in ("tokenizer.model", "tokenizer_config.json"):
        shutil.copy(source / name, folder / name)
    write(folder, tensors)


def write_shards(folder, tensors):
    weight_map = {}
    for i in range(2):
        name = f"pytorch_model-{i + 1:05}-of-00002.bin"
        part = {n: t for k, (n, t) in enumerate(tensors.items()) if k % 2 == i}
        weight_map |= dict.fromkeys(part, name)
        torch.save(part, folder / name)
    total = sum(t.nbytes for t in tensors.values())
    dump(folder / "pytorch_model.bin.index.json", {"metadata": {"total_size": total}, "weight_map": weight_map})


def write_stream(folder, tensors):
    torch.save(collections.OrderedDict(tensors), folder / "pytorch_model.bin", **STREAM)


def make_model():
    reader = gguf.GGUFReader(MODELS / "ggml" / "llama1_f16.gguf")
    field = lambda key: reader.fields["llama." + key].contents()
    heads = field("attention.head_count")
    arrays = {}
    for t in reader.tensors:
        kind = np.float16 if t.tensor_type == gguf.GGMLQuantizationType.F16 else np.float32
        arrays[t.name] = dequantize(t.data, t.tensor_type).astype(kind)
    hf = {}
    for name, array in arrays.items():
        turned = interleaved_to_halves(array, heads) if ".attn_q." in name or ".attn_k." in name else array
        hf[renamed(name, HF_LAYER_NAMES, "model.", {"token_embd": "model.embed_tokens", "output_norm": "model.norm",
                                                    "output": "lm_head"})] = tensor(turned)
    config = {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu", "bos_token_id": 1,
        "eos_token_id": 2, "vocab_size": arrays["token_embd.weight"].shape[0], "hidden_size": field("embedding_length"),
        "intermediate_size": field("feed_forward_length"), "num_hidden_layers": field("block_count"),
        "num_attention_heads": heads, "max_position_embeddings": field("context_length"), "rms_norm_eps": 1e-6,
        "torch_dtype": "float16", "tie_word_embeddings": False}
    write_hugging_face(MODELS / "pytorch" / "shards", config, hf, write_shards)
    write_hugging_face(MODELS / "pytorch" / "stream", config, hf, write_stream)

    folder = MODELS / "pytorch" / "meta"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    meta = {renamed(n, META_LAYER_NAMES, "", {"token_embd": "tok_embeddings", "output_norm": "norm",
                                              "output": "output"}): a for n, a in arrays.items()}
    for part in range(2):
        torch.save({n: tensor(cut(n, a, part, 2)) for n, a in meta.items()}, folder / f"consolidated.{part:02}.pth")
    (folder / "params.json").write_text(json.dumps({
        "dim": field("embedding_length"), "multiple_of": 8, "n_heads": heads, "n_layers": field("block_count"),
        "norm_eps": 1e-06, "vocab_size": -1}))
    shutil.copy(MODELS / "huggingface" / "tiny_llama1" / "tokenizer.model", folder / "tokenizer.model")


def make_llama3():
    source = ROOT / "tests" / "formats" / "data" / "rank_lists" / "trained.model"
    vocabulary = len(source.read_bytes().splitlines()) + 256
    dim, heads, kv_heads, feed_forward, layers = 32, 4, 2, 64, 1
    generator = torch.Generator().manual_seed(31)
    random = lambda *shape: (torch.randn(*shape, generator=generator) * shape[-1] ** -0.5).to(torch.bfloat16)
    tensors = {"tok_embeddings.weight": random(vocabulary, dim) * dim ** 0.5}
    for i in range(layers):
        shapes = {"attention.wq": (dim, dim), "attention.wk": (dim * kv_heads // heads, dim),
                  "attention.wv": (dim * kv_heads // heads, dim), "attention.wo": (dim, dim),
                  "feed_forward.w1": (feed_forward, dim), "feed_forward.w2": (dim, feed_forward),
                  "feed_forward.w3": (feed_forward, dim)}
        for name, shape in shapes.items():
            tensors[f"layers.{i}.{name}.weight"] = random(*shape)
        for name in ("attention_norm", "ffn_norm"):
            tensors[f"layers.{i}.{name}.weight"] = torch.ones(dim, dtype=torch.bfloat16)
    tensors["norm.weight"] = torch.ones(dim, dtype=torch.bfloat16)
    tensors["output.weight"] = random(vocabulary, dim)
    folder = MODELS / "pytorch" / "meta3"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    torch.save(tensors, folder / "consolidated.00.pth")
    (folder / "params.json").write_text(json.dumps({
        "dim": dim, "n_layers": layers, "n_heads": heads, "n_kv_heads": kv_heads, "vocab_size": vocabulary,
        "ffn_dim_multiplier": 1.3, "multiple_of": 8, "norm_eps": 1e-05, "rope_theta": 500000.0,
        "use_scaled_rope": True}))
    shutil.copy(source, folder / "tokenizer.model")


# --- small tensors ------------------------------------------------------------------------------------------------

def contents(t):
    t = t.detach().contiguous()
    kind = next(name for name, dtype in TYPES.items() if dtype == t.dtype)
    return [kind, list(t.shape), t.reshape(-1).view(torch.uint8).numpy().tobytes().hex() if t.numel() else ""]


def views():
    base = torch.arange(24, dtype=torch.float32).reshape(4, 6)
    half = torch.arange(12, dtype=torch.float16)
    cube = torch.arange(24, dtype=torch.int32).reshape(2, 3, 4)
    tensors = collections.OrderedDict()
    tensors["whole"] = base
    tensors["again"] = base
    tensors["transposed"] = base.t()
    tensors["rows"] = base[1:3]
    tensors["columns"] = base[:, 2:4]
    tensors["every_second"] = base[::2, ::3]
    tensors["element"] = base[2, 3]
    tensors["wider_step"] = half[1::2]
    tensors["permuted"] = cube.permute(2, 0, 1)
    tensors["one_row_of_a_cube"] = cube[:, 1:2]
    tensors["scalar"] = torch.tensor(7, dtype=torch.int64)
    tensors["none"] = torch.zeros(0, 5)
    tensors["parameter"] = torch.nn.Parameter(torch.tensor([1.5, -2.0], dtype=torch.bfloat16))
    return tensors


def make_small():
    shutil.rmtree(SMALL, ignore_errors=True)
    SMALL.mkdir(parents=True)
    tensors = views()
    expected = {}
    for name, options in [("views_2", {}), ("views_4", {"pickle_protocol": 4}), ("views_stream", STREAM)]:
        state = collections.OrderedDict(tensors)
        state._metadata = collections.OrderedDict(version=1)  # as modules leave it
        torch.save({"state_dict": state, "epoch": 3, "loss": 0.25, "note": "x"}, SMALL / f"{name}.pth", **options)
        expected[f"{name}.pth"] = {n: contents(t) for n, t in tensors.items()}
    types = {name: torch.tensor([0, 1, 3], dtype=torch.float32).to(dtype) for name, dtype in TYPES.items()}
    torch.save(types, SMALL / "types.pth")
    expected["types.pth"] = {n: contents(t) for n, t in types.items()}
    text = json.dumps(expected, indent=1)
    (SMALL / "expected.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    make_model()
    make_llama3()
    make_small()
