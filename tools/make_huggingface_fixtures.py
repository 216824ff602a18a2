#!/usr/bin/env python3
"""Writes Hugging Face folders for the tests, from the fixtures that are there already.

The small random models tests/models/data/tiny_*.gguf, whose logits are known from Transformers (make_oracle.py), become
folders of the same weights, written with the `safetensors` library; the vocabularies of tests/text/data, whose ids are
known from `tokenizers` and `sentencepiece` (make_tokenizer_expected.py), become tokenizer.json and tokenizer.model files,
which are checked here against the same ids. A small SentencePiece model is trained for the way that its tokenizer.json
goes, and encoded with `tokenizers`.

Needs gguf, numpy, ml_dtypes, safetensors, sentencepiece and tokenizers in a virtual environment outside the project.
usage: make_huggingface_fixtures.py

Files written:
  tests/models/data/huggingface/<name>/       a model: config.json, weights, a tokenizer
  tests/formats/data/tokenizers/<name>/       tokenizer.json or tokenizer.model
  tests/formats/data/tokenizers/llama/        both, and expected.json: the corpus's ids
"""

import io
import json
import pathlib
import shutil

import gguf
import ml_dtypes
import numpy as np
import sentencepiece
import tokenizers
from gguf.quants import dequantize
from safetensors.numpy import save_file
from sentencepiece import sentencepiece_model_pb2
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from make_tokenizer_expected import COMPOSED, PRE_TOKENIZERS
from tokenizer_texts import CORPUS, TRAINING

ROOT = pathlib.Path(__file__).resolve().parent.parent
MODELS = ROOT / "tests" / "models" / "data"
FOLDERS = MODELS / "huggingface"
VOCABULARIES = ROOT / "tests" / "text" / "data"
TOKENIZERS = ROOT / "tests" / "formats" / "data" / "tokenizers"

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = range(1, 7)

HF_LAYER_NAMES = {
    "attn_norm": "input_layernorm", "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj", "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj"}
HF_NAMES = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}


def dump(path, value, indent=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    separators = None if indent else (",", ":")
    path.write_text(json.dumps(value, ensure_ascii=False, indent=indent, separators=separators) + "\n", encoding="utf-8")


# --- models -------------------------------------------------------------------------------------------------------

def hf_name(name):
    stem = name.removesuffix(".weight")
    if stem in HF_NAMES:
        return HF_NAMES[stem] + ".weight"
    _, layer, part = stem.split(".")
    return f"model.layers.{layer}.{HF_LAYER_NAMES[part]}.weight"


def interleaved_to_halves(rows, heads):
    """GGUF has RoPE's pairs side by side, Transformers in halves of each head."""
    r = rows.reshape(heads, rows.shape[0] // heads // 2, 2, rows.shape[1])
    return np.ascontiguousarray(r.swapaxes(1, 2)).reshape(rows.shape)


def read_model(name):
    reader = gguf.GGUFReader(MODELS / f"{name}.gguf")
    field = lambda key, default=None: reader.fields[key].contents() if key in reader.fields else default
    heads = field("llama.attention.head_count")
    kv_heads = field("llama.attention.head_count_kv")
    tensors = {}
    for t in reader.tensors:
        if t.name == "rope_freqs.weight":
            continue
        values = dequantize(t.data, t.tensor_type).astype(np.float32)
        if ".attn_q." in t.name:
            values = interleaved_to_halves(values, heads)
        if ".attn_k." in t.name:
            values = interleaved_to_halves(values, kv_heads)
        tensors[hf_name(t.name)] = values
    config = {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu", "attention_bias": False,
        "bos_token_id": 1, "eos_token_id": 2, "vocab_size": tensors["model.embed_tokens.weight"].shape[0],
        "hidden_size": field("llama.embedding_length"), "intermediate_size": field("llama.feed_forward_length"),
        "num_hidden_layers": field("llama.block_count"), "num_attention_heads": heads, "num_key_value_heads": kv_heads,
        "max_position_embeddings": field("llama.context_length"),
        # The nearest short decimal, as config.json files write it.
        "rms_norm_eps": float(np.format_float_positional(np.float32(field("llama.attention.layer_norm_rms_epsilon")))),
        "rope_theta": float(field("llama.rope.freq_base")), "rope_scaling": None, "torch_dtype": "float32",
        "tie_word_embeddings": "lm_head.weight" not in tensors}
    if "llama.attention.key_length" in reader.fields:
        config["head_dim"] = field("llama.attention.key_length")
    return reader, config, tensors


def write_folder(name, config, tensors, shards=1):
    folder = FOLDERS / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    dump(folder / "config.json", config, indent=2)
    names = sorted(tensors)
    if shards == 1:
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
        return folder
    weight_map = {}
    for i in range(shards):
        file = f"model-{i + 1:05}-of-{shards:05}.safetensors"
        part = {n: tensors[n] for n in names[i::shards]}
        save_file(part, folder / file, metadata={"format": "pt"})
        weight_map |= dict.fromkeys(part, file)
    total = sum(t.nbytes for t in tensors.values())
    dump(folder / "model.safetensors.index.json",
         {"metadata": {"total_size": total}, "weight_map": dict(sorted(weight_map.items()))}, indent=2)
    return folder


def sentencepiece_model(tokens, kinds, scores, add_dummy_prefix=True, remove_extra_whitespaces=False, unk=0):
    model = sentencepiece_model_pb2.ModelProto()
    for token, kind, score in zip(tokens, kinds, scores):
        model.pieces.add(piece=token, score=score, type=kind)
    trainer = model.trainer_spec
    trainer.model_type = sentencepiece_model_pb2.TrainerSpec.BPE
    trainer.byte_fallback = BYTE in kinds
    trainer.unk_id = unk
    control = [t if k == CONTROL else None for t, k in zip(tokens, kinds)]
    trainer.bos_id = control.index("<s>") if "<s>" in control else -1
    trainer.eos_id = control.index("</s>") if "</s>" in control else -1
    normalizer = model.normalizer_spec
    normalizer.name = "identity"
    normalizer.add_dummy_prefix = add_dummy_prefix
    normalizer.remove_extra_whitespaces = remove_extra_whitespaces
    return model


def make_models():
    reader, config, tensors = read_model("tiny_llama1")
    folder = write_folder("tiny_llama1", config, tensors)
    contents = lambda key: reader.fields[key].contents()
    tokens, kinds = contents("tokenizer.ggml.tokens"), [int(k) for k in contents("tokenizer.ggml.token_type")]
    model = sentencepiece_model(tokens, kinds, contents("tokenizer.ggml.scores"))
    (folder / "tokenizer.model").write_bytes(model.SerializeToString())
    dump(folder / "tokenizer_config.json", {
        "add_bos_token": True, "add_eos_token": False, "bos_token": {"content": "<s>", "lstrip": False},
        "eos_token": "</s>", "unk_token": "<unk>", "model_max_length": 1000000000000000019884624838656,
        "chat_template": "{% for m in messages %}{{ m['content'] }}{% endfor %}"}, indent=2)
    dump(folder / "generation_config.json", {"bos_token_id": 1, "eos_token_id": [2, 260], "do_sample": True}, indent=2)

    _, config, tensors = read_model("tiny_llama3")
    config["rope_scaling"] = {"factor": 8.0, "high_freq_factor": 4.0, "low_freq_factor": 1.0,
                              "original_max_position_embeddings": 256, "rope_type": "llama3"}
    write_folder("tiny_llama3", config, tensors)

    _, config, tensors = read_model("tiny_linear_rope")
    config.pop("rope_scaling")
    config["rope_parameters"] = {"rope_type": "linear", "factor": 4.0, "rope_theta": config.pop("rope_theta")}
    write_folder("tiny_linear_rope", config, tensors)

    _, config, tensors = read_model("tiny_mistral")
    config |= {"architectures": ["MistralForCausalLM"], "model_type": "mistral", "sliding_window": None}
    write_folder("tiny_mistral", config, tensors, shards=3)

    # Other types. F64 holds the values of the F32 model.
    _, config, tensors = read_model("tiny_linear_rope")
    config["rope_scaling"] = {"factor": 4.0, "type": "linear"}  # as it was spelled first
    matrices = [n for n, t in tensors.items() if t.ndim == 2]
    for kind, dtype in [("bf16", ml_dtypes.bfloat16), ("f16", np.float16), ("f64", np.float64),
                        ("f8_e4m3", ml_dtypes.float8_e4m3fn), ("f8_e5m2", ml_dtypes.float8_e5m2)]:
        narrow = {n: t.astype(dtype if n in matrices or kind in ("bf16", "f16") else np.float32)
                  for n, t in tensors.items()}
        folder = write_folder(f"tiny_{kind}", config, {n: raw(t) for n, t in narrow.items()})
        patch_types(folder / "model.safetensors", {n: t.dtype for n, t in narrow.items()})


def raw(array):
    """The numpy side of `safetensors` lacks the types of ml_dtypes; their bytes go as integers."""
    return array.view(np.uint16 if array.dtype == ml_dtypes.bfloat16 else np.uint8) \
        if array.dtype.kind == "V" or array.dtype in (ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn, ml_dtypes.float8_e5m2) \
        else array


def patch_types(path, types):
    names = {np.dtype(ml_dtypes.bfloat16): "BF16", np.dtype(ml_dtypes.float8_e4m3fn): "F8_E4M3",
             np.dtype(ml_dtypes.float8_e5m2): "F8_E5M2"}
    data = path.read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8:8 + size])
    for name, dtype in types.items():
        header[name]["dtype"] = names.get(dtype, header[name]["dtype"])
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(len(text).to_bytes(8, "little") + text + data[8 + size:])


# --- tokenizers ---------------------------------------------------------------------------------------------------

def read_vocabulary(name):
    return json.loads((VOCABULARIES / f"{name}.json").read_text(encoding="utf-8"))


def byte_level_tokenizer(name, vocabulary):
    pre_tokenizer, ignore_merges = PRE_TOKENIZERS[name]
    tokens, kinds = vocabulary["tokens"], vocabulary["kinds"]
    merges = [tuple(m.split(" ")) for m in vocabulary["merges"]]
    added = {i for i, k in enumerate(kinds) if k == USER_DEFINED}
    model = models.BPE(vocab={t: i for i, t in enumerate(tokens) if i not in added}, merges=merges,
                       ignore_merges=ignore_merges)
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizer
    if name in COMPOSED:
        tokenizer.normalizer = normalizers.NFC()
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    # In the order of their ids, which the library gives out one after another.
    for i, (token, kind) in enumerate(zip(tokens, kinds)):
        if kind == CONTROL:
            tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False)])
        if kind == USER_DEFINED:
            tokenizer.add_tokens([AddedToken(token, special=False, normalized=False)])
        assert kind == NORMAL or tokenizer.token_to_id(token) == i, token
    return tokenizer


def make_byte_level():
    for name in PRE_TOKENIZERS:
        vocabulary = read_vocabulary(name)
        tokenizer = byte_level_tokenizer(name, vocabulary)
        tokenizer.encode_special_tokens = True
        for text, ids in zip(CORPUS, vocabulary["ids"], strict=True):
            assert tokenizer.encode(text, add_special_tokens=False).ids == ids
        content = json.loads(tokenizer.to_str())
        if name == "smollm":  # the other spelling, of tokenizers before 0.20
            content["model"]["merges"] = [" ".join(m) for m in content["model"]["merges"]]
        dump(TOKENIZERS / name / "tokenizer.json", content)


def make_sentencepiece():
    for name in ["spm-bytes", "spm-unknown", "spm-unused"]:
        v = read_vocabulary(name)
        model = sentencepiece_model(v["tokens"], v["kinds"], v["scores"], v["add_space_prefix"],
                                    v["remove_extra_whitespaces"], v["unk"])
        processor = sentencepiece.SentencePieceProcessor(model_proto=model.SerializeToString())
        for text, ids in zip(CORPUS, v["ids"], strict=True):
            assert processor.encode(text) == ids
        (TOKENIZERS / name).mkdir(parents=True, exist_ok=True)
        (TOKENIZERS / name / "tokenizer.model").write_bytes(model.SerializeToString())


def merges_of(model):
    """Every pair of pieces that makes a third, in the order of its score: how Transformers turns SentencePiece around."""
    scores = {p.piece: p.score for p in model.pieces if p.type == NORMAL}
    merges = []
    for piece, score in scores.items():
        for cut in range(1, len(piece)):
            if piece[:cut] in scores and piece[cut:] in scores:
                merges.append((score, piece[:cut], piece[cut:]))
    ids = {p.piece: i for i, p in enumerate(model.pieces)}
    merges.sort(key=lambda m: (-m[0], ids[m[1]], ids[m[2]]))
    return [(left, right) for _, left, right in merges]


def make_llama():
    """As Llama 2's tokenizer: bytes for what has no piece, a begin token, a space first."""
    blob = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(line for text in TRAINING for line in text.split("\n") if line), model_writer=blob,
        model_type="bpe", vocab_size=700, hard_vocab_limit=False, character_coverage=0.99, byte_fallback=True,
        normalization_rule_name="identity", add_dummy_prefix=True, remove_extra_whitespaces=False, minloglevel=2,
        num_threads=1)
    model = sentencepiece_model_pb2.ModelProto.FromString(blob.getvalue())
    model.trainer_spec.Clear()
    model.trainer_spec.model_type = sentencepiece_model_pb2.TrainerSpec.BPE
    model.trainer_spec.byte_fallback = True
    folder = TOKENIZERS / "llama"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tokenizer.model").write_bytes(model.SerializeToString())

    tokenizer = Tokenizer(models.BPE(vocab={p.piece: i for i, p in enumerate(model.pieces)}, merges=merges_of(model),
                                     unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(),
                                           decoders.Strip(" ", 1, 0)])
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", pair="<s> $A <s> $B",
                                                             special_tokens=[("<s>", 1)])
    tokenizer.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in ["<unk>", "<s>", "</s>"]])
    dump(folder / "tokenizer.json", json.loads(tokenizer.to_str()))
    dump(folder / "tokenizer_config.json", {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"})

    processor = sentencepiece.SentencePieceProcessor(model_proto=model.SerializeToString())
    ids = [tokenizer.encode(t).ids for t in CORPUS]
    agree = sum(processor.encode(t, add_bos=True) == i for t, i in zip(CORPUS, ids))
    print(f"llama: {agree} of {len(CORPUS)} texts agree with sentencepiece")
    dump(folder / "expected.json", {"tokenizers": ids, "sentencepiece": [processor.encode(t, add_bos=True) for t in CORPUS]})


def main():
    make_models()
    make_byte_level()
    make_sentencepiece()
    make_llama()


if __name__ == "__main__":
    main()
