#!/usr/bin/env python3
"""Writes src/text/unicode/case_data.cc: case mappings and the properties that go with them, as Python's `str` has them.

usage: make_case_tables.py > src/text/unicode/case_data.cc
"""

import unicodedata

CODE_POINTS = 0x110000
SIGMA = "\u03a3"
FINAL_SIGMA = "\u03c2"


def characters():
    for code_point in range(CODE_POINTS):
        if not 0xD800 <= code_point < 0xE000:
            yield code_point, chr(code_point)


def traits(c):
    """Names of the flags of CharTraits that are set for the character."""
    cased = (c + "y").title().endswith("y")
    ends_word = (c + SIGMA).lower().endswith(FINAL_SIGMA)
    continues_word = ("A" + c + SIGMA).lower().endswith(FINAL_SIGMA)
    flags = {
        "lower": c.islower(),
        "upper": c.isupper(),
        "title": c.istitle() and not c.isupper(),
        "cased": cased,
        "case_ignorable": continues_word and not ends_word,
        "decimal": c.isdecimal(),
        "digit": c.isdigit(),
        "numeric": c.isnumeric(),
    }
    return sum(1 << bit for bit, name in enumerate(flags) if flags[name])


def trait_ranges():
    ranges = []
    for code_point, c in characters():
        mask = traits(c)
        if not mask:
            continue
        if ranges and ranges[-1][1] == code_point - 1 and ranges[-1][2] == mask:
            ranges[-1][1] = code_point
        else:
            ranges.append([code_point, code_point, mask])
    return ranges


def mapping(function):
    """Ranges (first, last, step, difference) of single characters, and a list (from, to...) of longer ones."""
    ranges, longer = [], []
    for code_point, c in characters():
        mapped = function(c)
        if mapped == c:
            continue
        if len(mapped) > 1:
            longer.append([code_point] + [ord(m) for m in mapped] + [0] * (3 - len(mapped)))
            continue
        difference = ord(mapped) - code_point
        if ranges and ranges[-1][3] == difference:
            first, last, step, _ = ranges[-1]
            gap = code_point - last
            if gap in (1, 2) and (first == last or gap == step):
                ranges[-1][1:3] = [code_point, gap]
                continue
        ranges.append([code_point, code_point, 1, difference])
    return ranges, longer


def table(kind, name, rows):
    print(f"const {kind} {name}[] = {{")
    line = "   "
    for row in rows:
        entry = " {" + ", ".join(row) + "},"
        if len(line) + len(entry) > 118:
            print(line)
            line = "   "
        line += entry
    print(line)
    print(f"}};\nconst std::size_t {name}_count = {len(rows)};\n")


def main():
    print(f"// Case mappings and traits of Unicode {unicodedata.unidata_version}, by tools/make_case_tables.py. "
          "Data; not edited by hand.")
    print('#include "text/unicode/case.h"\n\nnamespace puna::text {\n\n// clang-format off\n')
    table("TraitRange", "trait_ranges", [[f"0x{a:X}", f"0x{b:X}", f"0x{m:X}"] for a, b, m in trait_ranges()])
    for name, function in (("lower", str.lower), ("upper", str.upper), ("title", str.title)):
        ranges, longer = mapping(function)
        table("CaseRange", f"{name}_ranges", [[f"0x{a:X}", f"0x{b:X}", str(s), str(d)] for a, b, s, d in ranges])
        table("CaseExpansion", f"{name}_expansions", [[f"0x{c:X}" for c in row] for row in longer])
    print("// clang-format on\n\n}  // namespace puna::text")


if __name__ == "__main__":
    main()
