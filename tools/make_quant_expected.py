#!/usr/bin/env python3
"""Writes tests/quant/data/decode.bin and encode.bin: blocks and values as the `gguf` package converts them.

Needs Python with numpy and gguf (0.18 or later). Usage: tools/make_quant_expected.py [FOLDER]

All numbers little-endian.
decode.bin, for each type: u32 id, u32 blocks, the blocks' bytes, the blocks' float32 values.
encode.bin: u32 n, n float32 values; for each type: u32 id, u32 bytes, the encoded bytes.
"""

import pathlib
import struct
import sys

import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType as Type
from gguf import quants

# Where the f16 scales of each block are (byte offsets).
HALVES = {
    Type.F16: [0], Type.Q4_0: [0], Type.Q4_1: [0, 2], Type.Q5_0: [0], Type.Q5_1: [0, 2], Type.Q8_0: [0],
    Type.Q2_K: [80, 82], Type.Q3_K: [108], Type.Q4_K: [0, 2], Type.Q5_K: [0, 2], Type.Q6_K: [208],
    Type.IQ4_NL: [0], Type.IQ4_XS: [0],
}
DECODED = [Type.F32, Type.BF16, Type.MXFP4, *HALVES]
ENCODED = [Type.F32, Type.F16, Type.BF16, Type.Q4_0, Type.Q4_1, Type.Q5_0, Type.Q5_1, Type.Q8_0, Type.MXFP4]

# Largest, smallest denormal, largest denormal, smallest normal, zeros, ordinary ones; none infinite.
EDGE_HALVES = [0x7BFF, 0xFBFF, 0x0001, 0x8001, 0x03FF, 0x0400, 0x0000, 0x8000, 0x3C00, 0x1234]
EDGE_EXPONENTS = [0, 1, 2, 3, 126, 127, 128, 254, 255, 100]


def blocks_of(kind, rng):
    elements, size = GGML_QUANT_SIZES[kind]
    count = 12 if elements == 256 else 32
    blocks = rng.integers(0, 256, (count, size), dtype=np.uint8)
    blocks[0] = 0  # all zero, scales too
    blocks[1] = 0
    blocks[2] = 255
    for i in range(1, count):
        for place, offset in enumerate(HALVES.get(kind, [])):
            half = EDGE_HALVES[(i + 3 * place) % len(EDGE_HALVES)] if i <= 10 else int(rng.integers(0x1000, 0x3C00))
            blocks[i, offset : offset + 2] = np.frombuffer(struct.pack("<H", half), np.uint8)
        if kind == Type.MXFP4:
            blocks[i, 0] = EDGE_EXPONENTS[i % 10] if i <= 10 else rng.integers(110, 140)
        if kind in (Type.F32, Type.BF16):  # no infinities, no NaN
            blocks[i, -1] &= 0xBF
    return blocks


def values(rng):
    rows = rng.standard_normal((40, 32)).astype(np.float32) * np.float32(0.05)
    rows[1] = 0
    rows[2] = 0.75  # constant
    rows[3] = np.linspace(-1, 1, 32, dtype=np.float32)
    rows[4] = np.arange(32, dtype=np.float32)
    rows[5] = -np.arange(32, dtype=np.float32) / 3
    rows[6] *= np.float32(1e-6)  # scales become denormal halves
    rows[7] *= np.float32(1e5)
    rows[8, 1:] = 0  # one spike
    rows[9] = np.where(np.arange(32) % 2, 127, -127) / np.float32(8)
    rows[10] = (np.arange(32, dtype=np.float32) - 16) / 2  # halves, for the ties of rounding
    rows[10, 0] = 127
    rows[11] = 2 ** (np.arange(32, dtype=np.float32) / 2 - 8)
    return rows


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent.parent / "tests/quant/data")
    folder.mkdir(parents=True, exist_ok=True)
    np.seterr(all="ignore")
    rng = np.random.default_rng(20240131)
    with open(folder / "decode.bin", "wb") as out:
        for kind in DECODED:
            blocks = blocks_of(kind, rng)
            out.write(struct.pack("<II", int(kind), len(blocks)))
            out.write(blocks.tobytes())
            # `dequantize` takes F32 and F16 as arrays of those types, the others as bytes.
            raw = blocks.view(np.float32) if kind == Type.F32 else blocks.view(np.float16) if kind == Type.F16 else blocks
            decoded = quants.dequantize(raw, kind).astype("<f4")
            assert decoded.size == len(blocks) * GGML_QUANT_SIZES[kind][0]
            out.write(decoded.tobytes())
    with open(folder / "encode.bin", "wb") as out:
        rows = values(rng)
        out.write(struct.pack("<I", rows.size) + rows.astype("<f4").tobytes())
        for kind in ENCODED:
            encoded = np.ascontiguousarray(quants.quantize(rows, kind)).tobytes()
            out.write(struct.pack("<II", int(kind), len(encoded)) + encoded)


if __name__ == "__main__":
    main()
