#!/usr/bin/env python3
"""Makes tests/formats/data/gguf_py*: files written by the Python package `gguf`, and what that package reads from them.

Authoring time only; needs the packages gguf and numpy:
    python3 tools/make_gguf_fixture.py
The files hold every type of metadata value and tensors of several types; one model is in one file, the same tensors
once more in three shards.
"""

import json
import pathlib

import gguf
import numpy

DATA = pathlib.Path(__file__).resolve().parent.parent / "tests" / "formats" / "data"


def add_metadata(writer):
    writer.add_name("fixture")
    writer.add_uint8("value.u8", 200)
    writer.add_int8("value.i8", -100)
    writer.add_uint16("value.u16", 60000)
    writer.add_int16("value.i16", -30000)
    writer.add_uint32("value.u32", 4000000000)
    writer.add_int32("value.i32", -2000000000)
    writer.add_uint64("value.u64", 2**63 + 5)
    writer.add_int64("value.i64", -(2**62) - 3)
    writer.add_float32("value.f32", 0.1)
    writer.add_float64("value.f64", 0.1)
    writer.add_bool("value.true", True)
    writer.add_bool("value.false", False)
    writer.add_string("value.text", "Puna: 4000 m, \u00f1and\u00fa, \U0001f999\n")
    t = gguf.GGUFValueType
    for name, kind, values in [
        ("u8", t.UINT8, [0, 255]),
        ("i8", t.INT8, [-128, 127]),
        ("u16", t.UINT16, [0, 65535]),
        ("i16", t.INT16, [-32768, 32767]),
        ("u32", t.UINT32, [0, 2**32 - 1]),
        ("i32", t.INT32, [-(2**31), 2**31 - 1]),
        ("u64", t.UINT64, [0, 2**64 - 1]),
        ("i64", t.INT64, [-(2**63), 2**63 - 1]),
        ("f32", t.FLOAT32, [0.5, -1.25, 0.1]),
        ("f64", t.FLOAT64, [0.1, 1e300]),
        ("bool", t.BOOL, [True, False, True]),
        ("text", t.STRING, ["a", "", "\u2581the"]),
    ]:
        writer.add_key_value("array." + name, values, t.ARRAY, sub_type=kind)


def add_tensors(writer):
    random = numpy.random.default_rng(7)
    weights = random.standard_normal((4, 64)).astype(numpy.float32)
    writer.add_tensor("vector", numpy.arange(5, dtype=numpy.float32))
    writer.add_tensor("half", weights.astype(numpy.float16))
    for kind in [gguf.GGMLQuantizationType.Q4_0, gguf.GGMLQuantizationType.Q8_0, gguf.GGMLQuantizationType.BF16]:
        writer.add_tensor(kind.name.lower(), gguf.quants.quantize(weights, kind), raw_dtype=kind)
    writer.add_tensor("cube", numpy.arange(24, dtype=numpy.int32).reshape(2, 3, 4))


def write(path, **options):
    writer = gguf.GGUFWriter(path, "llama", **options)
    add_metadata(writer)
    add_tensors(writer)
    writer.write_header_to_file(path)
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def expected(path):
    """What the package reads: metadata, and of each tensor shape (outermost first), type, bytes."""
    reader = gguf.GGUFReader(path)
    metadata = {}
    for key, field in reader.fields.items():
        if key.startswith("GGUF."):
            continue
        value = field.contents()
        if isinstance(value, list):
            value = [v.item() if hasattr(v, "item") else v for v in value]
        metadata[key] = value.item() if hasattr(value, "item") else value
    tensors = [
        {
            "name": t.name,
            "shape": [int(n) for n in reversed(t.shape)],
            "type": t.tensor_type.name,
            "hex": t.data.tobytes().hex(),
        }
        for t in reader.tensors
    ]
    return {"metadata": metadata, "tensors": tensors}


def main():
    DATA.mkdir(parents=True, exist_ok=True)
    whole = DATA / "gguf_py.gguf"
    write(whole)
    write(DATA / "gguf_py.gguf", split_max_tensors=2)
    (DATA / "gguf_py.json").write_text(json.dumps(expected(whole), indent=1) + "\n")


if __name__ == "__main__":
    main()
