#!/usr/bin/env python3
"""Writes tests/models/data/ggml: small LLaMAs in the formats before GGUF, and beside them the same in GGUF.

Needs Python with numpy and gguf. Usage: tools/make_ggml_fixtures.py [FOLDER]

  llama1_f16.bin                from tiny_llama1.gguf: GGML without version, matrices in F16
  llama1_parts.bin, ....bin.1   the same as GGMF v1 in two parts, cut as Meta cut its larger models
  llama1_f16.gguf               the same values, by the `gguf` package
  quantized_ggjt{1,2,3}.bin     random weights in Q4_0, Q4_1, Q5_0, Q5_1 and Q8_0, laid out as each version has them
  quantized.gguf                the same blocks, as the `gguf` package quantized them

Blocks are laid out by the structs of ggml in April (GGJT v1), mid-May (v2) and end of May 2023 (v3).
"""

import pathlib
import struct
import sys

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Type
from gguf import quants

LEGACY_IDS = {Type.F32: 0, Type.F16: 1, Type.Q4_0: 2, Type.Q4_1: 3, Type.Q5_0: 6, Type.Q5_1: 7, Type.Q8_0: 8}
LEGACY_NAMES = {"token_embd": "tok_embeddings", "output_norm": "norm", "output": "output"}
LEGACY_LAYER_NAMES = {
    "attn_norm": "attention_norm", "attn_q": "attention.wq", "attn_k": "attention.wk", "attn_v": "attention.wv",
    "attn_output": "attention.wo", "ffn_norm": "ffn_norm", "ffn_gate": "feed_forward.w1",
    "ffn_down": "feed_forward.w2", "ffn_up": "feed_forward.w3"}
CUT_BY_COLUMNS = ("tok_embeddings.weight", "attention.wo.weight", "feed_forward.w2.weight")


def legacy_name(name):
    stem = name.removesuffix(".weight")
    if stem in LEGACY_NAMES:
        return LEGACY_NAMES[stem] + ".weight"
    _, layer, rest = stem.split(".")
    return f"layers.{layer}.{LEGACY_LAYER_NAMES[rest]}.weight"


def place(name):
    """Tensors stand in the order of Meta's checkpoints: what is no layer's, then layer by layer."""
    if not name.startswith("layers."):
        return ["tok_embeddings.weight", "norm.weight", "output.weight"].index(name), 0
    _, layer, rest = name.removesuffix(".weight").split(".", 2)
    return 3 + int(layer), list(LEGACY_LAYER_NAMES.values()).index(rest)


def legacy_words(reader):
    """A vocabulary as the converters of 2023 wrote it: bytes, spaces for U+2581, nothing for control tokens."""
    tokens = reader.fields["tokenizer.ggml.tokens"].contents()
    kinds = reader.fields["tokenizer.ggml.token_type"].contents()
    for token, kind in zip(tokens, kinds):
        if kind == gguf.TokenType.UNKNOWN:
            yield " \u2047 ".encode()
        elif kind == gguf.TokenType.CONTROL:
            yield b""
        elif kind == gguf.TokenType.BYTE:
            yield bytes([int(token[3:-1], 16)])
        else:
            yield token.replace("\u2581", " ").encode()


def spread(nibbles):
    """[blocks][16] bytes whose nibbles are the elements i and i + 16 -> codes [blocks][32]."""
    return np.concatenate([nibbles & 15, nibbles >> 4], axis=1)


def adjacent(nibbles):
    """The same codes, with the elements 2 i and 2 i + 1 in a byte."""
    codes = spread(nibbles)
    return codes[:, 0::2] | (codes[:, 1::2] << 4)


def wide(halves):
    """[blocks][2 n] bytes of f16 -> [blocks][4 n] bytes of f32."""
    return np.ascontiguousarray(np.ascontiguousarray(halves).view("<f2").astype("<f4")).view(np.uint8)


def laid_out(blocks, kind, version):
    """[blocks][bytes] of today's layout as GGJT `version` has them."""
    order = adjacent if version == 1 else lambda nibbles: nibbles
    scales = wide if version < 3 else lambda halves: halves
    pieces = {
        Type.Q4_0: lambda b: [scales(b[:, :2]), order(b[:, 2:])],
        Type.Q4_1: lambda b: [scales(b[:, :4]), order(b[:, 4:])],
        Type.Q5_0: lambda b: [b[:, :6], order(b[:, 6:])],
        Type.Q5_1: lambda b: [b[:, :8], order(b[:, 8:])],
        Type.Q8_0: lambda b: [scales(b[:, :2]), b[:, 2:]],
    }[kind](blocks)
    return np.concatenate(pieces, axis=1)


def write_legacy(path, container, hyper, words, scores, tensors):
    """`container`: None or ("ggmf" or "ggjt", version). `tensors`: name, type, shape outermost first, bytes."""
    with open(path, "wb") as out:
        magic = {None: 0x67676D6C, "ggmf": 0x67676D66, "ggjt": 0x67676A74}[container and container[0]]
        out.write(struct.pack("<I", magic))
        if container:
            out.write(struct.pack("<I", container[1]))
        out.write(struct.pack("<7i", *hyper))
        for word, score in zip(words, scores):
            out.write(struct.pack("<I", len(word)) + word)
            if container:
                out.write(struct.pack("<f", score))
        for name, kind, shape, data in tensors:
            out.write(struct.pack("<iii", len(shape), len(name), LEGACY_IDS[kind]))
            out.write(struct.pack(f"<{len(shape)}i", *reversed(shape)) + name.encode())
            if container and container[0] == "ggjt":
                out.write(bytes(-out.tell() % 32))
            out.write(data)


def cut(name, array, part, parts):
    if array.ndim == 1:
        return array
    axis = 1 if name.endswith(CUT_BY_COLUMNS) else 0
    return np.ascontiguousarray(np.split(array, parts, axis)[part])


def add_vocabulary(writer, reader):
    writer.add_tokenizer_model("llama")
    writer.add_token_list(reader.fields["tokenizer.ggml.tokens"].contents())
    writer.add_token_scores(reader.fields["tokenizer.ggml.scores"].contents())
    writer.add_token_types(reader.fields["tokenizer.ggml.token_type"].contents())
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)


def gguf_writer(path, reader, width, feed_forward, heads, layers):
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(2048)
    writer.add_embedding_length(width)
    writer.add_block_count(layers)
    writer.add_feed_forward_length(feed_forward)
    writer.add_head_count(heads)
    writer.add_head_count_kv(heads)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_dimension_count(width // heads)
    writer.add_rope_freq_base(10000.0)
    add_vocabulary(writer, reader)
    return writer


def finish(writer):
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def plain(folder, reader):
    words = list(legacy_words(reader))
    scores = reader.fields["tokenizer.ggml.scores"].contents()
    hyper = (288, 32, 1, 4, 2, 8, 1)  # no n_mult gives so narrow a network; readers that compute it want more
    tensors = []
    writer = gguf_writer(folder / "llama1_f16.gguf", reader, 32, 56, 4, 2)
    for tensor in reader.tensors:
        array = np.asarray(tensor.data)
        kind = Type.F32 if array.ndim == 1 else Type.F16
        array = array if array.ndim == 1 else array.astype(np.float16)
        tensors.append((legacy_name(tensor.name), kind, array))
        writer.add_tensor(tensor.name, array)
    finish(writer)
    tensors.sort(key=lambda tensor: place(tensor[0]))
    whole = [(n, k, a.shape, a.tobytes()) for n, k, a in tensors]
    write_legacy(folder / "llama1_f16.bin", None, hyper, words, scores, whole)
    for part, suffix in enumerate(["", ".1"]):
        pieces = [(n, k, cut(n, a, part, 2)) for n, k, a in tensors]
        write_legacy(folder / f"llama1_parts.bin{suffix}", ("ggmf", 1), hyper, words, scores,
                     [(n, k, a.shape, a.tobytes()) for n, k, a in pieces])


def quantized(folder, reader):
    width, feed_forward, heads, layers, vocabulary = 32, 64, 4, 1, 288
    rng = np.random.default_rng(20230519)
    words = list(legacy_words(reader))
    scores = reader.fields["tokenizer.ggml.scores"].contents()
    shapes = [("token_embd", Type.Q8_0, (vocabulary, width)), ("output_norm", Type.F32, (width,)),
              ("output", Type.F16, (vocabulary, width))]
    for i in range(layers):
        shapes += [(f"blk.{i}.attn_norm", Type.F32, (width,)), (f"blk.{i}.attn_q", Type.Q4_0, (width, width)),
                   (f"blk.{i}.attn_k", Type.Q4_1, (width, width)), (f"blk.{i}.attn_v", Type.Q5_0, (width, width)),
                   (f"blk.{i}.attn_output", Type.Q5_1, (width, width)), (f"blk.{i}.ffn_norm", Type.F32, (width,)),
                   (f"blk.{i}.ffn_gate", Type.Q4_0, (feed_forward, width)),
                   (f"blk.{i}.ffn_up", Type.Q4_1, (feed_forward, width)),
                   (f"blk.{i}.ffn_down", Type.Q5_1, (width, feed_forward))]
    writer = gguf_writer(folder / "quantized.gguf", reader, width, feed_forward, heads, layers)
    tensors = []
    for stem, kind, shape in shapes:
        array = rng.standard_normal(shape).astype(np.float32) / np.float32(np.sqrt(width))
        if kind == Type.F32:
            array = 1 + array / 4
        data = array if kind == Type.F32 else quants.quantize(array, kind)
        writer.add_tensor(stem + ".weight", data, raw_dtype=kind)
        tensors.append((legacy_name(stem), kind, shape, data))
    finish(writer)
    for version in (1, 2, 3):
        pieces = []
        for name, kind, shape, data in tensors:
            if kind not in (Type.F32, Type.F16):
                block_bytes = gguf.GGML_QUANT_SIZES[kind][1]
                data = laid_out(np.ascontiguousarray(data).view(np.uint8).reshape(-1, block_bytes), kind, version)
            pieces.append((name, kind, shape, np.ascontiguousarray(data).tobytes()))
        write_legacy(folder / f"quantized_ggjt{version}.bin", ("ggjt", version),
                     (vocabulary, width, 64, heads, layers, width // heads, 2), words, scores, pieces)


def main():
    data = pathlib.Path(__file__).parent.parent / "tests/models/data"
    folder = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else data / "ggml"
    folder.mkdir(parents=True, exist_ok=True)
    reader = gguf.GGUFReader(data / "tiny_llama1.gguf")
    plain(folder, reader)
    quantized(folder, reader)


if __name__ == "__main__":
    main()
