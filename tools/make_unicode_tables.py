#!/usr/bin/env python3
"""Writes src/text/unicode/unicode_data.cc: the character classes that pre-tokenizers ask for.

The classes come from the Unicode Character Database through the `unicodedata2` module, version 16.0.0, which is the
Unicode version of the regular expressions in `tokenizers` 0.23. With --check, every code point is put before
`tokenizers` and the outcomes are compared.

usage: make_unicode_tables.py [--check] > src/text/unicode/unicode_data.cc
"""

import sys

import unicodedata2

VERSION = "16.0.0"
CLASSES = {"L": "letter", "M": "mark", "N": "number", "P": "punctuation", "S": "symbol", "Z": "whitespace"}
# White_Space holds all of Z and these controls.
WHITESPACE_CONTROLS = {0x09, 0x0A, 0x0B, 0x0C, 0x0D, 0x85}
CODE_POINTS = 0x110000


def class_of(code_point):
    if code_point in WHITESPACE_CONTROLS:
        return "whitespace"
    return CLASSES.get(unicodedata2.category(chr(code_point))[0], "other")


def ranges():
    """(first, last, class) for each run of a class other than `other`."""
    runs = []
    for code_point in range(CODE_POINTS):
        name = class_of(code_point)
        if name == "other":
            continue
        if runs and runs[-1][2] == name and runs[-1][1] == code_point - 1:
            runs[-1][1] = code_point
        else:
            runs.append([code_point, code_point, name])
    return runs


def check():
    """Compares with what the regular expressions of `tokenizers` match; returns the number of differences."""
    from tokenizers import Regex, pre_tokenizers

    patterns = {r"\p{L}": "letter", r"\p{M}": "mark", r"\p{N}": "number", r"\p{P}": "punctuation", r"\p{S}": "symbol",
                r"\s": "whitespace"}
    splitters = {name: pre_tokenizers.Split(Regex(f"[{pattern}]"), "removed") for pattern, name in patterns.items()}
    splitters["number, by Digits"] = pre_tokenizers.Digits(individual_digits=True)
    differences = 0
    for start in range(0, CODE_POINTS, 256):
        block = [c for c in range(start, start + 256) if not 0xD800 <= c < 0xE000]
        text = "".join(map(chr, block))
        if not text:
            continue
        for name, splitter in splitters.items():
            if name == "number, by Digits":
                # Between letters, only numbers stand alone.
                pieces = splitter.pre_tokenize_str("a" + "".join(c + "a" for c in text))
                found = {p for p, _ in pieces if len(p) == 1 and p != "a"}
                # Digits asks Rust's standard library, which may know numbers of a later Unicode.
                found -= {c for c in found if unicodedata2.category(c) == "Cn"}
            else:
                found = set(text) - set("".join(p for p, _ in splitter.pre_tokenize_str(text)))
            wanted = {c for c in text if class_of(ord(c)) == name.split(",")[0]}
            for c in sorted(found ^ wanted):
                differences += 1
                print(f"U+{ord(c):04X}: {name} differs", file=sys.stderr)
    print(f"{differences} differences", file=sys.stderr)
    return differences


def main():
    if unicodedata2.unidata_version != VERSION:
        sys.exit(f"unicodedata2 holds Unicode {unicodedata2.unidata_version}, wanted {VERSION}")
    if "--check" in sys.argv and check():
        sys.exit(1)
    print(f"// Character classes of Unicode {VERSION}, by tools/make_unicode_tables.py. Data; not edited by hand.")
    print('#include "text/unicode/unicode.h"\n\nnamespace puna::text {\n\n// clang-format off')
    print("using enum CharClass;\n")
    print("const CharClass ascii_classes[128] = {")
    for start in range(0, 128, 8):
        print("    " + " ".join(f"{class_of(c)}," for c in range(start, start + 8)))
    print("};\n")
    runs = ranges()
    print("const ClassRange class_ranges[] = {")
    line = "   "
    for first, last, name in runs:
        item = f" {{0x{first:X}, 0x{last:X}, {name}}},"
        if len(line) + len(item) > 120:
            print(line)
            line = "   "
        line += item
    print(line)
    print("};\n// clang-format on\n")
    print(f"const std::size_t class_range_count = {len(runs)};\n\n}}  // namespace puna::text")


if __name__ == "__main__":
    main()
