#!/usr/bin/env python3
"""tools/tidy.py finds mistakes wherever they are, though it looks at many files as one. Needs clang-tidy-19."""

import contextlib
import io
import json
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tools"))
import tidy  # noqa: E402  found by the line above

GOOD = "namespace {\nint twice(int x) {\n    return 2 * x;\n}\n}\nint four() {\n    return twice(2);\n}\n"
OTHER = '#include "base/header.h"\n' + GOOD.replace("twice", "half").replace("2 * x", "x / 2").replace("four", "one")
HEADER = "#pragma once\n"


class TidyTest(unittest.TestCase):
    def look(self, files, named=()):
        """(whether all is well, what stdout says, what stderr says) of a tree of these files in src/base/."""
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder).resolve()
            build = root / "build"
            build.mkdir()
            commands = []
            tree = {"src/base/good.cc": GOOD, "src/base/other.cc": OTHER, "src/base/header.h": HEADER, **files}
            for path, text in tree.items():
                (root / path).parent.mkdir(parents=True, exist_ok=True)
                (root / path).write_text(text)
                if path.endswith(".cc"):
                    command = f"c++ -I{root}/src -std=c++20 -o {Path(path).name}.o -c {root / path}"
                    commands.append({"directory": str(build), "command": command, "file": str(root / path)})
            (build / "compile_commands.json").write_text(json.dumps(commands))
            out, log = io.StringIO(), io.StringIO()
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(log):
                good = tidy.tidy(build, 2, [str(root / path) for path in named], root)
            return good, out.getvalue(), log.getvalue()

    def test_good_files_pass_together(self):
        good, out, log = self.look({})
        self.assertTrue(good, out + log)
        self.assertIn("2 files, in 1 groups", log)
        self.assertNotIn("one by one", log)

    def test_a_mistake_in_a_file_is_found_with_its_place(self):
        good, out, _ = self.look({"src/base/other.cc": OTHER.replace("x / 2", "x > 0 ? x : x")})
        self.assertFalse(good)
        self.assertIn("src/base/other.cc:4:", out)

    def test_a_mistake_in_a_header_is_found_with_its_place(self):
        text = HEADER + "inline const int* none() {\n    return 0;\n}\n"
        good, out, _ = self.look({"src/base/header.h": text})
        self.assertFalse(good)
        self.assertIn("src/base/header.h:3:", out)
        self.assertIn("modernize-use-nullptr", out)

    def test_what_is_asked_of_the_main_file_alone_is_asked_of_each(self):
        text = "namespace far {\nint way();\n}\nusing far::way;\n"
        good, out, _ = self.look({"src/base/third.cc": text})
        self.assertFalse(good)
        self.assertIn("src/base/third.cc:4:", out)
        self.assertIn("misc-unused-using-decls", out)

    def test_names_that_collide_cost_time_alone(self):
        good, out, log = self.look({"src/base/third.cc": GOOD.replace("four", "fourth")})
        self.assertTrue(good, out + log)
        self.assertIn("src/base does not pass as one (redefinition of 'twice'", log)
        self.assertIn("3 files, one by one", log)

    def test_a_mistake_is_found_beside_names_that_collide(self):
        bad = GOOD.replace("four", "fourth").replace("2 * x", "x > 0 ? x : x")
        good, out, _ = self.look({"src/base/third.cc": bad})
        self.assertFalse(good)
        self.assertIn("src/base/third.cc:3:", out)

    def test_files_that_do_not_compile_are_no_pass(self):
        self.assertFalse(self.look({"src/base/third.cc": "int f( {\n"})[0])

    def test_files_that_are_compiled_otherwise_stay_apart(self):
        self.assertIn("3 files, in 2 groups", self.look({"src/quant/third.cc": "int f() { return 1; }\n"})[2])

    def test_named_files_are_looked_at_alone(self):
        good, _, log = self.look({"src/base/other.cc": "int f( {\n"}, ["src/base/good.cc"])
        self.assertTrue(good)
        self.assertIn("1 files, one by one", log)


if __name__ == "__main__":
    unittest.main()
