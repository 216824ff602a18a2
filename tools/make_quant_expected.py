#!/usr/bin/env python3
"""Writes decode.bin, encode.bin and encode_ternary.bin of tests/quant/data: blocks and values as `gguf` converts them.

Needs Python with numpy and gguf (0.19 or later). Usage: tools/make_quant_expected.py [FOLDER]

All numbers little-endian.
decode.bin, for each type: u32 id, u32 blocks, the blocks' bytes, the blocks' float32 values.
encode.bin, encode_ternary.bin: u32 n, n float32 values; for each type: u32 id, u32 bytes, the encoded bytes.
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
    Type.IQ4_NL: [0], Type.IQ4_XS: [0], Type.IQ1_S: [0], Type.IQ2_XXS: [0], Type.IQ2_XS: [0], Type.IQ2_S: [0],
    Type.IQ3_XXS: [0], Type.IQ3_S: [0], Type.TQ1_0: [52], Type.TQ2_0: [64],
}
DECODED = [Type.F32, Type.BF16, Type.MXFP4, *HALVES, Type.IQ1_M, Type.NVFP4]
ENCODED = [Type.F32, Type.F16, Type.BF16, Type.Q4_0, Type.Q4_1, Type.Q5_0, Type.Q5_1, Type.Q8_0, Type.MXFP4]
ENCODED_TERNARY = [Type.TQ1_0, Type.TQ2_0]

# Largest, smallest denormal, largest denormal, smallest normal, zeros, ordinary ones; none infinite.
EDGE_HALVES = [0x7BFF, 0xFBFF, 0x0001, 0x8001, 0x03FF, 0x0400, 0x0000, 0x8000, 0x3C00, 0x1234]
# Zeros, denormals, normals around them, the largest, what is NaN in E4M3, and the same with the sign bit set.
EDGE_SCALES = [0, 1, 7, 8, 9, 0x38, 0x7D, 0x7E, 0x7F, 0x80, 0x81, 0x88, 0xB8, 0xFE, 0xFF]
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
        if kind == Type.IQ1_M:  # a nibble of its half is the upper end of each 16 bits of scales
            half = EDGE_HALVES[i % len(EDGE_HALVES)] if i <= 10 else int(rng.integers(0x1000, 0x3C00))
            for nibble in range(4):
                blocks[i, 49 + 2 * nibble] = (blocks[i, 49 + 2 * nibble] & 15) | ((half >> 4 * nibble) & 15) << 4
        if kind == Type.NVFP4 and i <= 20:
            blocks[i, :4] = np.array(EDGE_SCALES, np.uint8)[(4 * i + np.arange(4)) % len(EDGE_SCALES)]
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


def ternary_values(rng):
    """Weights of ternary models and others, in blocks of 256; the ties of rounding to 0 or 1 among them."""
    rows = rng.integers(-1, 2, (8, 256)).astype(np.float32) * rng.uniform(0.01, 2, (8, 1)).astype(np.float32)
    rows[1] = rng.standard_normal(256)
    rows[2] = 0
    rows[3] = -0.75
    rows[4] = np.arange(-128, 128) / np.float32(128)
    rows[5] = rng.standard_normal(256) * np.float32(1e-6)
    rows[6] = np.where(np.arange(256) % 3 == 0, 0.5, np.where(np.arange(256) % 3 == 1, -0.5, 1))
    return rows


def write_encoded(path, rows, kinds):
    with open(path, "wb") as out:
        out.write(struct.pack("<I", rows.size) + rows.astype("<f4").tobytes())
        for kind in kinds:
            encoded = np.ascontiguousarray(quants.quantize(rows, kind)).tobytes()
            out.write(struct.pack("<II", int(kind), len(encoded)) + encoded)


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
    write_encoded(folder / "encode.bin", values(rng), ENCODED)
    write_encoded(folder / "encode_ternary.bin", ternary_values(rng), ENCODED_TERNARY)


if __name__ == "__main__":
    main()
