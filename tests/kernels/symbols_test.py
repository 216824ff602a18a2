#!/usr/bin/env python3
"""Checks with nm that the objects of an instruction set share nothing with baseline code.

    symbols_test.py OBJECT_LIST COMPILER

OBJECT_LIST: a file that names the objects of the kernels, one a line. Objects under kernels/avx2/, avx512/, avx512_bf16/ and amx/
may hold no weak symbol: the linker keeps one of several, and might hand code for a newer CPU to an older one. What
they export is theirs alone: names in puna::kernels, and in no two sets. COMPILER makes the small objects on which the
check is itself tested.
"""

import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

SETS = ("avx2", "avx512", "avx512_bf16", "amx")
# As nm prints them: weak (W, V), unique over the process (u), chosen at load time (i), common (C). A reference to
# something weak that is defined elsewhere (w, v without an address) gives nothing away.
SHARED = set("WVwvuiC")
EXPORTED = re.compile(r"[A-Z]")

SOURCES = Path(__file__).resolve().parents[2] / "src" / "kernels"


def defined_symbols(path):
    """(type, demangled name) of what an object defines."""
    lines = subprocess.run(["nm", "--demangle", "--defined-only", path], check=True, capture_output=True, text=True)
    return [tuple(line.split(" ", 2)[1:]) for line in lines.stdout.splitlines() if line]


def check_object(path, symbols):
    """What is wrong with the symbols of one object."""
    for kind, name in symbols:
        if kind in SHARED:
            yield f"{path}: {name} is shared ({kind})"
        elif EXPORTED.match(kind) and not name.startswith("puna::kernels::"):
            yield f"{path}: {name} is exported ({kind}), and does not belong to puna::kernels"


class TheObjects(unittest.TestCase):
    maxDiff = None

    def test_symbols(self):
        objects = [Path(line) for line in OBJECT_LIST.read_text().split("\n") if line]
        problems, exports = [], {}
        for name in SETS:
            folder = SOURCES / name
            of_set = [path for path in objects if path.parts[-3:-1] == ("kernels", name)]
            self.assertEqual(len(of_set), len(list(folder.glob("*.cc"))), f"objects of {name}, against its sources")
            for path in of_set:
                symbols = defined_symbols(path)
                problems += check_object(path, symbols)
                for kind, symbol in symbols:
                    if EXPORTED.match(kind) and exports.setdefault(symbol, name) != name:
                        problems.append(f"{path}: {symbol} is exported by {exports[symbol]} too")
        self.assertTrue(exports, "no kernel set exports anything; is the list of objects right?")
        self.assertEqual(problems, [], "\n" + "\n".join(problems))


class TheCheck(unittest.TestCase):
    def problems(self, source):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "a.cc")
            path.write_text(source)
            built = path.with_suffix(".o")
            subprocess.run([COMPILER, "-std=c++20", "-fPIC", "-c", path, "-o", built], check=True)
            return [problem.split(": ", 1)[1] for problem in check_object(built, defined_symbols(built))]

    def test_own_symbols_pass(self):
        source = "namespace puna::kernels { namespace { int f() { return 1; } } extern int (*const p)(); int (*const p)() = f; }"
        self.assertEqual(self.problems(source), [])

    def test_inline_function(self):
        self.assertEqual(self.problems("inline int f() { return 1; } namespace puna::kernels { int (*p)() = f; }"),
                         ["f() is shared (W)"])

    def test_template(self):
        source = "#include <algorithm>\nnamespace puna::kernels { int f(int a, int b) { return std::max(a, b); } }"
        found = self.problems(source)
        self.assertEqual(len(found), 1, found)
        self.assertIn("std::max", found[0])

    def test_foreign_name(self):
        self.assertEqual(self.problems("int f() { return 1; }"),
                         ["f() is exported (T), and does not belong to puna::kernels"])


if __name__ == "__main__":
    OBJECT_LIST = Path(sys.argv.pop(1))
    COMPILER = sys.argv.pop(1)
    unittest.main()
