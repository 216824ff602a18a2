#!/usr/bin/env python3
"""Measures what quantization loses: puna beside llama-quantize, type by type, on the same weights.

Prints a table of relative errors (the root of the squared error's sum over that of the squared weights') for the table in
docs/quantization.md. Authoring time only; needs the packages gguf and numpy, and both programs:
    python3 tools/measure_quantization.py --puna build/release/puna --peer llama-quantize [MODEL.gguf]
    python3 tools/measure_quantization.py ... --by-importance [MODEL.gguf IMATRIX.gguf]
Without a model, weights are random: normally distributed, and with heavier tails (Student's t, 5 degrees of freedom).
A model in a quantized type is decoded first; what is measured then is the loss on the decoded weights.
With --by-importance both programs get the same importance matrix (for random weights, one of log-normal numbers), and
each squared error counts as often as the matrix says.
"""

import argparse
import subprocess
import tempfile
from pathlib import Path

import gguf
import numpy as np

TYPES = ("BF16 Q8_0 Q6_K Q5_K Q5_1 Q5_0 Q4_K Q4_1 Q4_0 IQ4_NL IQ4_XS MXFP4 NVFP4 Q3_K IQ3_S IQ3_XXS Q2_K IQ2_S IQ2_XS "
         "IQ2_XXS IQ1_M IQ1_S TQ2_0 TQ1_0").split()
PEER_NAMES = {"Q5_K": "Q5_K_S", "Q4_K": "Q4_K_S", "Q3_K": "Q3_K_S"}
# llama-quantize has no mix of these, but writes a tensor in them that is named.
PEER_TENSOR_TYPES = {"MXFP4", "NVFP4"}
# The mix IQ2_S is made of IQ2_XS.
PEER_NAMES |= {"IQ2_S": "IQ2_M"}
# llama-quantize does not make these without a matrix that knows every tensor.
NEED_IMPORTANCE = {"IQ2_S", "IQ2_XS", "IQ2_XXS", "IQ1_M", "IQ1_S"}
TAKE_NO_IMPORTANCE = {"BF16", "MXFP4", "NVFP4", "TQ2_0", "TQ1_0"}


def write_random_model(path, draw):
    writer = gguf.GGUFWriter(path, "llama")
    for add, value in [(writer.add_block_count, 1), (writer.add_context_length, 256), (writer.add_embedding_length, 512),
                       (writer.add_feed_forward_length, 512), (writer.add_head_count, 8),
                       (writer.add_layer_norm_rms_eps, 1e-5), (writer.add_vocab_size, 512)]:
        add(value)
    rows = {"token_embd": 512, "blk.0.ffn_up": 1024, "blk.0.ffn_down": 1024}
    for name, count in rows.items():
        writer.add_tensor(f"{name}.weight", (0.02 * draw((count, 512))).astype(np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def tensors(path):
    return {t.name: t for t in gguf.GGUFReader(path).tensors}


def decoded(tensor):
    return gguf.quants.dequantize(tensor.data, tensor.tensor_type).astype(np.float64)


def write_random_imatrix(path, random):
    writer = gguf.GGUFWriter(path, "")
    writer.add_string("general.type", "imatrix")
    writer.add_array("imatrix.datasets", ["random"])
    writer.add_uint32("imatrix.chunk_count", 1)
    writer.add_uint32("imatrix.chunk_size", 512)
    for name in ("blk.0.ffn_down", "blk.0.ffn_up"):
        squares = 512 * np.exp(random.standard_normal((1, 512)))
        writer.add_tensor(f"{name}.weight.in_sum2", squares.astype(np.float32))
        writer.add_tensor(f"{name}.weight.counts", np.full((1, 1), 512, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def importances(path):
    """What the columns of each tensor count; none without a file: then all count the same, in every tensor."""
    if path is None:
        return None
    return {name.removesuffix(".in_sum2"): tensor.data.astype(np.float64).reshape(-1)
            for name, tensor in tensors(path).items() if name.endswith(".in_sum2")}


def relative_errors(source, results, wanted, importance):
    """Of each result, over the tensors that are in the type that was asked for in all of them."""
    names = [name for name in source if all(result[name].tensor_type.name == wanted for result in results)
             and (importance is None or name in importance)]
    return [relative_error(source, result, names, importance) for result in results]


def relative_error(source, result, names, importance):
    error = power = 0.0
    for name in names:
        weights = decoded(source[name])
        counts = 1.0 if importance is None else importance[name] / np.mean(importance[name])
        error += np.sum(counts * (decoded(result[name]) - weights) ** 2)
        power += np.sum(counts * weights**2)
    return (error / power) ** 0.5 if power else float("nan")


def run(*command):
    subprocess.run([str(word) for word in command], check=True, capture_output=True)


def measure(source_path, puna, peer, folder, title, imatrix=None):
    source = tensors(source_path)
    importance = importances(imatrix)
    by = [] if imatrix is None else ["--imatrix", imatrix]
    print(f"\n{title}\n| type | puna | llama-quantize |\n|---|---|---|")
    for name in TYPES:
        if name in (NEED_IMPORTANCE if imatrix is None else TAKE_NO_IMPORTANCE):
            continue
        peer_name = PEER_NAMES.get(name, name)
        how = ["--tensor-type", f"weight={name}"] if name in PEER_TENSOR_TYPES else ["--pure"]
        if name in NEED_IMPORTANCE:
            how += ["--token-embedding-type", "Q8_0"]
        run(puna, "quantize", source_path, folder / "p.gguf", peer_name, "--pure", "--force", *by)
        run(peer, *how, *by, source_path, folder / "l.gguf", "Q8_0" if name in PEER_TENSOR_TYPES else peer_name, "1")
        errors = relative_errors(source, [tensors(folder / file) for file in ("p.gguf", "l.gguf")], name, importance)
        mark = "" if errors[0] <= errors[1] * 1.0005 else " worse"
        print(f"| {name} | {errors[0]:.5f} | {errors[1]:.5f} |{mark}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--puna", required=True)
    parser.add_argument("--peer", required=True)
    parser.add_argument("--by-importance", action="store_true")
    parser.add_argument("model", nargs="?")
    parser.add_argument("imatrix", nargs="?")
    arguments = parser.parse_args()
    random = np.random.default_rng(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = folder / "source.gguf"
        if arguments.model:
            run(arguments.puna, "convert", arguments.model, source, "--type", "F16")
            measure(source, arguments.puna, arguments.peer, folder, arguments.model, arguments.imatrix)
            return
        imatrix = folder / "imatrix.gguf" if arguments.by_importance else None
        if imatrix:
            write_random_imatrix(imatrix, random)
        for title, draw in [("normal", random.standard_normal), ("Student's t", lambda n: random.standard_t(5, n))]:
            write_random_model(source, draw)
            measure(source, arguments.puna, arguments.peer, folder, title, imatrix)


if __name__ == "__main__":
    main()
