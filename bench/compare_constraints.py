#!/usr/bin/env python3
"""Masks of JSON schemas, puna's beside llguidance's: the same vocabulary and schemas.

    PUNA_BENCH_MODEL=model.gguf PUNA_BENCH_WALKS=walks.json \\
        build/release/kernel_benchmarks --benchmark_filter=constraint/mask
    bench/compare_constraints.py walks.json     (a Python that has llguidance and numpy)

The benchmark has followed each schema by tokens chosen at random from puna's masks, 200 at most, and this does the same
with llguidance's masks. The texts differ: of text that is forced llguidance allows only the token that its tokenizer
would take. Both start each text anew, on one thread. Schemas that llguidance refuses are left out of
puna's numbers too.
"""
import json
import random
import statistics
import sys
import time

import llguidance
import llguidance.numpy
import numpy

TOKENS_OF_A_TEXT = 200
WHITE_SPACE = r" |\n[ \t]{0,24}"  # puna's


class Tokenizer:
    """What llguidance asks a tokenizer for."""

    def __init__(self, tokens, end):
        self.tokens = tokens
        self.special_token_ids = list(end)
        self.eos_token_id = end[0]
        self.bos_token_id = None
        self._ids = {token: i for i, token in reversed(list(enumerate(tokens)))}
        self._longest = max(map(len, tokens))

    def __call__(self, text):
        """The longest token, and so on: llguidance asks how text that is forced would be written."""
        text = text if isinstance(text, bytes) else text.encode()
        ids = []
        while text:
            length = next(n for n in range(min(len(text), self._longest), 0, -1) if text[:n] in self._ids)
            ids.append(self._ids[text[:length]])
            text = text[length:]
        return ids


def quantiles(values):
    ordered = sorted(values)
    return f"{statistics.fmean(ordered):9.1f} {statistics.median(ordered):9.1f} {ordered[int(0.99 * (len(ordered) - 1))]:9.1f} {ordered[-1]:9.1f}"


def microseconds(action):
    begin = time.perf_counter()
    result = action()
    return result, 1e6 * (time.perf_counter() - begin)


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        data = json.load(file)
    end = data["end"]
    # A token without bytes needs some that no text has.
    tokens = [bytes.fromhex(token) or b"\xff" + f"[{i}]".encode() for i, token in enumerate(data["tokens"])]
    wrapper = llguidance.TokenizerWrapper(Tokenizer(tokens, end))
    begin = time.perf_counter()
    tokenizer = llguidance.LLTokenizer(wrapper, n_vocab=len(tokens), eos_token=end,
                                       slices=llguidance.LLTokenizer.json_slices())
    print(f"llguidance {llguidance.__version__}, {len(tokens)} tokens; its tokenizer took "
          f"{1e3 * (time.perf_counter() - begin):.0f} ms")

    bitmask = llguidance.numpy.allocate_token_bitmask(1, len(tokens))
    ours = {"compile": [], "mask": [], "accept": []}
    theirs = {"compile": [], "mask": [], "accept": []}
    refused = 0
    for number, walk in enumerate(data["walks"]):
        grammar = llguidance.LLMatcher.grammar_from_json_schema(
            walk["schema"], overrides={"whitespace_pattern": WHITE_SPACE})
        matcher, took = microseconds(lambda: llguidance.LLMatcher(tokenizer, grammar))
        if matcher.is_error():
            refused += 1
            continue
        ours["compile"].append(walk["compile"])
        ours["mask"] += walk["mask"]
        ours["accept"] += walk["accept"]
        theirs["compile"].append(took)
        choice = random.Random(number)
        for _ in range(TOKENS_OF_A_TEXT):
            _, took = microseconds(lambda: llguidance.numpy.fill_next_token_bitmask(matcher, bitmask, 0))
            theirs["mask"].append(took)
            allowed = numpy.flatnonzero(numpy.unpackbits(bitmask.view(numpy.uint8), bitorder="little"))
            token = int(choice.choice(allowed))
            if token in end:
                break
            _, took = microseconds(lambda: matcher.consume_token(token))
            theirs["accept"].append(took)
        if matcher.is_error():
            sys.exit(f"llguidance: {matcher.get_error()}")
    print(f"{len(data['walks'])} schemas, {refused} of them refused by llguidance; masks: puna {len(ours['mask'])}, "
          f"llguidance {len(theirs['mask'])}")
    print("us                       mean    median       p99   longest")
    for what in ("compile", "mask", "accept"):
        print(f"{what:8} puna       {quantiles(ours[what])}")
        print(f"{what:8} llguidance {quantiles(theirs[what])}")


if __name__ == "__main__":
    main()
