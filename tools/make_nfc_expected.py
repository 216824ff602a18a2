#!/usr/bin/env python3
"""Writes texts and their Normalization Form C, by Python's unicodedata, for the tests of text/unicode/normalize.h.

Usage: tools/make_nfc_expected.py   (standard library alone; the version of Unicode is written too)

tests/text/data/nfc.json: pairs of a text and what it becomes
  "decomposed"  every character with a canonical decomposition but the syllables of Hangul: fully decomposed, and the
                character itself, where the two compose to different texts
  "sequences"   random sequences of letters, marks, jamo and syllables, some with marks in an order that must change
"""

import json
import pathlib
import random
import sys
import unicodedata

DATA = pathlib.Path(__file__).resolve().parent.parent / "tests" / "text" / "data"
HANGUL = range(0xAC00, 0xD7A4)


def nfc(text):
    return unicodedata.normalize("NFC", text)


def decomposed():
    for code in range(sys.maxunicode + 1):
        character = chr(code)
        parts = unicodedata.normalize("NFD", character)
        if parts == character or code in HANGUL or 0xD800 <= code < 0xE000:
            continue
        yield parts, nfc(parts)
        if nfc(character) != nfc(parts) or nfc(character) != character:
            yield character, nfc(character)


def sequences():
    assigned = [c for c in map(chr, range(0x20, 0x2FA20)) if unicodedata.category(c) not in ("Cn", "Cs", "Co")]
    marks = [c for c in assigned if unicodedata.combining(c)]
    parts = [c for c in assigned if c != unicodedata.normalize("NFD", c) and ord(c) not in HANGUL]
    jamo = [chr(c) for c in (0x1100, 0x1112, 0x1113, 0x1161, 0x1175, 0x1176, 0x11A7, 0x11A8, 0x11C2, 0x11C3)]
    syllables = [chr(c) for c in (0xAC00, 0xAC01, 0xAC1C, 0xD788, 0xD7A3)]
    letters = list("aeioucnsCA <>=") + list("\u00e9\u00c5\u0131\u0928\u0915\u05d0\u05e9\u304b\u09c7\u0bc6\u0dd9\u1025\U00011131\U000114b9")
    vowels = list("\u09be\u0bbe\u0dcf\u102e\u3099\u309a\u093c\u05bc\u05c1\u0338\u0307\u0323\u0301\U00011127\U000114ba")
    generator = random.Random(1991)
    for _ in range(600):
        pools = generator.choices([letters, marks, vowels, parts, jamo, syllables], [5, 4, 4, 2, 3, 1],
                                  k=generator.randint(2, 12))
        text = "".join(generator.choice(pool) for pool in pools)
        yield text, nfc(text)


def main():
    value = {"unicode": unicodedata.unidata_version, "decomposed": list(decomposed()), "sequences": list(sequences())}
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    (DATA / "nfc.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
