#!/usr/bin/env python3
"""Writes small lists of tokens and ranks for the tests, and the ids that `tiktoken` makes of the corpus with them.

One list is trained on the texts of tokenizer_texts.py with Llama 3's splitting rule; the other holds the same tokens and
some that no merge makes, in random order behind the bytes, so that merges of one token in several ways meet. Both are
used with the 256 special tokens that Llama 3 puts behind the ranks.

Needs tiktoken in a virtual environment outside the project. usage: make_rank_list_fixtures.py

Files written:
  tests/formats/data/rank_lists/{trained,shuffled}.model   as Meta's tokenizer.model
  tests/formats/data/rank_lists/expected.json              of each: "ids" of each text of the corpus without special
                                                           tokens, "special" of the conversations below with them
"""

import base64
import json
import pathlib
import random

import tiktoken
from tiktoken._educational import bpe_train

from tokenizer_texts import CORPUS, TRAINING

DATA = pathlib.Path(__file__).resolve().parent.parent / "tests" / "formats" / "data" / "rank_lists"
PATTERN = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
           r"|\s+(?!\S)|\s+")
TRAINED_TOKENS = 256 + 320
UNMADE = [b"unmergeable", b" Zyx", b"!?!", b"100", b" grassland"]

# As in the first release; the others are reserved.
NAMED = {0: "<|begin_of_text|>", 1: "<|end_of_text|>", 6: "<|start_header_id|>", 7: "<|end_header_id|>", 9: "<|eot_id|>"}
CONVERSATIONS = [
    "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nHow high is the Altiplano?<|eot_id|>"
    "<|start_header_id|>assistant<|end_header_id|>\n\n",
    "x<|end_of_text|> <|reserved_special_token_0|><|reserved_special_token_4|><|reserved_special_token_250|>y<|eot_id",
]


def special_tokens():
    tokens, reserved = [], 0
    for i in range(256):
        if i in NAMED:
            tokens.append(NAMED[i])
        else:
            tokens.append(f"<|reserved_special_token_{reserved}|>")
            reserved += 1
    return tokens


def shuffled(ranks):
    tokens = [t for t in ranks if len(t) > 1] + [t for t in UNMADE if t not in ranks]
    random.Random(20240418).shuffle(tokens)
    return {t: i for i, t in enumerate([t for t in ranks if len(t) == 1] + tokens)}


def write(name, ranks):
    lines = (base64.b64encode(token) + b" %d\n" % rank for token, rank in ranks.items())
    (DATA / f"{name}.model").write_bytes(b"".join(lines))
    special = {token: len(ranks) + i for i, token in enumerate(special_tokens())}
    encoding = tiktoken.Encoding(name, pat_str=PATTERN, mergeable_ranks=ranks, special_tokens=special)
    return {"ids": [encoding.encode_ordinary(text) for text in CORPUS],
            "special": [encoding.encode(text, allowed_special="all") for text in CONVERSATIONS]}


def main():
    DATA.mkdir(parents=True, exist_ok=True)
    trained = bpe_train("".join(TRAINING), TRAINED_TOKENS, PATTERN, visualise=None)
    expected = {"trained": write("trained", trained), "shuffled": write("shuffled", shuffled(trained)),
                "conversations": CONVERSATIONS}
    (DATA / "expected.json").write_text(json.dumps(expected, separators=(",", ":")) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
