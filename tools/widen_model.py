#!/usr/bin/env python3
"""Makes a LLaMA 768 wide, with the same function, of SmolLM2-135M (576 wide), so that types in blocks of 256 take all rows.

The hidden channels, in random order, are the first 192 of each 256; the others are zero. Each KV head has a fourth query
head, of zeros. Norms divide by the mean over 768, so their weights are multiplied by the root of 3/4 and their epsilon by
3/4. The channels of the feed-forward network and of each head's values are in random order too. Authoring time only, for
the tables in docs/quantization.md; needs the packages gguf and numpy:
    puna convert smollm2.gguf f32.gguf --type F32
    python3 tools/widen_model.py f32.gguf wide.gguf [SEED]
"""

import sys

import gguf
import numpy as np

OLD, NEW = 576, 768
HEADS, KV_HEADS, HEAD = 9, 3, 64


def main():
    source, target = sys.argv[1:3]
    random = np.random.default_rng(int(sys.argv[3]) if len(sys.argv) > 3 else 1)
    reader = gguf.GGUFReader(source)
    place = (np.arange(NEW).reshape(-1, 256)[:, :192].reshape(-1))[random.permutation(OLD)]
    # A query head of zeros behind each KV head's three.
    heads = np.concatenate([4 * kv + np.arange(HEADS // KV_HEADS) for kv in range(KV_HEADS)])
    rows_of_heads = (heads[:, None] * HEAD + np.arange(HEAD)).reshape(-1)

    def spread(matrix, rows=None, columns=None):
        """The matrix's rows and columns, each at its new place among NEW; None: they stay."""
        if rows is not None:
            out = np.zeros((NEW, matrix.shape[1]), matrix.dtype)
            out[rows] = matrix
            matrix = out
        if columns is not None:
            out = np.zeros((matrix.shape[0], NEW), matrix.dtype)
            out[:, columns] = matrix
            matrix = out
        return matrix

    writer = gguf.GGUFWriter(target, "llama")
    changed = {"llama.embedding_length": NEW, "llama.attention.head_count": 4 * KV_HEADS}
    for field in reader.fields.values():
        if field.name.startswith("GGUF.") or field.name == "general.architecture":
            continue
        value = changed.get(field.name, field.contents())
        if field.name == "llama.attention.layer_norm_rms_epsilon":
            value *= 0.75
        kind = field.types[0]
        writer.add_key_value(field.name, value, kind, field.types[-1] if kind == gguf.GGUFValueType.ARRAY else None)

    orders = {}  # of a layer's feed-forward channels and of its values

    def order(kind, layer, count):
        return orders.setdefault((kind, layer), random.permutation(count))

    for tensor in reader.tensors:
        name = tensor.name
        data = np.array(tensor.data)
        layer = name.split(".")[1]
        if "norm" in name:
            out = np.zeros(NEW, np.float32)
            out[place] = data * np.float32(0.75**0.5)
            data = out
        elif name in ("token_embd.weight", "output.weight"):
            data = spread(data, columns=place)
        elif "attn_q" in name:
            data = spread(data, rows=rows_of_heads, columns=place)
        elif "attn_k" in name:
            data = spread(data, columns=place)
        elif "attn_v" in name:
            by = order("v", layer, HEAD)
            data = spread(data.reshape(KV_HEADS, HEAD, -1)[:, by].reshape(KV_HEADS * HEAD, -1), columns=place)
        elif "attn_output" in name:
            by = order("v", layer, HEAD)
            data = spread(data.reshape(-1, HEADS, HEAD)[:, :, by].reshape(-1, HEADS * HEAD), rows=place, columns=rows_of_heads)
        elif "ffn_down" in name:
            data = spread(data[:, order("ff", layer, data.shape[1])], rows=place)
        else:
            data = spread(data[order("ff", layer, data.shape[0])], columns=place)
        writer.add_tensor(name, data)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    main()
