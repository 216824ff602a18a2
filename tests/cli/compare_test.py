#!/usr/bin/env python3
"""bench/compare.py against stand-ins for the two programs, whose speeds are known.

usage: compare_test.py COMPARE_SCRIPT
"""

import json
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree
from pathlib import Path

COMPARE = sys.argv.pop(1)

# Both count their calls, so that the rounds differ: puna's speeds are 10, 20, 30, the peer's half of that but for one.
COUNTER = """#!/usr/bin/env python3
import json, pathlib, sys
arguments = sys.argv[1:]
def value(flag):
    return arguments[arguments.index(flag) + 1]
def count(key):
    path = pathlib.Path(__file__).with_suffix("." + key)
    number = int(path.read_text()) + 1 if path.exists() else 1
    path.write_text(str(number))
    return number
"""
PUNA = COUNTER + """
if arguments[0] == "doctor":
    print(json.dumps({"cores": 2}))
    sys.exit()
test = f"{value('-p')}-{value('-n')}-{value('-d')}-{value('--parallel')}"
speed = 10.0 * count(test)
prompt = value("-p") != "0"
row = {"model": "a.gguf", "test": test, "parallel": int(value("--parallel")),
       "tokens_per_second": {"median": speed}, "multiply_adds_per_byte": 200.0 if prompt else 1.5}
row.update({"gmac_s": 120.0} if prompt else {"gb_s": 12.0})
print(json.dumps({"machine": {"cpu": "A <CPU> & more", "kernels": "avx2"},
                  "limits": {"read_gb_s": {"2": 15.0 + speed / 100}, "gmac_s": {"float32": 100.0, "bf16": None}},
                  "rows": [row]}))
"""
PEER = COUNTER + """
print("a line of talk")
number = count("calls-" + value("-p") + "-" + value("-n"))
print(json.dumps({"avg_ts": 1.0 if number == 2 else 5.0 * number}))
"""
BATCHED_PEER = COUNTER + """
print("main: talk")
print(json.dumps({"speed_pp": 1.0, "speed_tg": 4.0 * int(value("-npl"))}))
"""


class Compare(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.root = Path(self.folder.name)
        self.puna = self.program("puna", PUNA)
        self.peer = self.program("llama-bench", PEER)

    def program(self, name, text):
        path = self.root / name
        path.write_text(text)
        path.chmod(0o755)
        return str(path)

    def compare(self, *arguments):
        command = [sys.executable, COMPARE, "-m", "a.gguf", "--puna", self.puna, "--peer", self.peer, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    def test_medians_and_ratios(self):
        self.program("llama-batched-bench", BATCHED_PEER)
        done = self.compare("-r", "3", "-d", "0", "--parallel", "1,4", "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        rows = {row["test"]: row for row in json.loads(done.stdout)["rows"]}
        self.assertEqual(list(rows), ["pp512", "tg64", "tg32 x 4"])
        self.assertEqual(rows["pp512"]["puna"], 20.0)
        self.assertEqual(rows["pp512"]["peer"], 5.0)  # of 5, 1 and 15
        self.assertEqual(rows["pp512"]["ratio"], 2.0)  # of 10 / 5, 20 / 1 and 30 / 15
        self.assertEqual(rows["tg32 x 4"]["peer"], 16.0)
        limits = json.loads(done.stdout)["limits"]
        self.assertEqual(limits, {"read_gb_s": 15.3, "float32": 100.0})  # the best of all runs

    def test_table(self):
        done = self.compare("-r", "1", "-d", "100", "--parallel", "")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(
            done.stdout.splitlines(),
            [
                "| model | test | puna, tokens/s | peer | ratio |",
                "|---|---|---:|---:|---:|",
                "| a.gguf | pp512 | 10.00 | 5.00 | 2.00 |",
                "| a.gguf | tg64 | 10.00 | 5.00 | 2.00 |",
                "| a.gguf | tg32@d100 | 10.00 | 5.00 | 2.00 |",
            ],
        )

    def test_roofline_is_a_picture(self):
        picture = self.root / "roofline.svg"
        done = self.compare("-r", "1", "-d", "0", "--parallel", "", "--roofline", str(picture))
        self.assertEqual(done.returncode, 0, done.stderr)
        root = xml.etree.ElementTree.parse(picture).getroot()
        words = ["".join(element.itertext()) for element in root.iter("{http://www.w3.org/2000/svg}text")]
        self.assertTrue(any("A <CPU> & more" in text for text in words), words)
        self.assertTrue(any(text.startswith("float32 100") for text in words), words)
        circles = list(root.iter("{http://www.w3.org/2000/svg}circle"))
        self.assertEqual(len(circles), 4)  # two rows, each in the plot and in the legend
        # Prompts have more multiplies for a byte: further right, and higher.
        plotted = [(float(c.get("cx")), float(c.get("cy"))) for c in circles if c.get("r") == "5"]
        self.assertLess(plotted[0][0], plotted[1][0])
        self.assertGreater(plotted[0][1], plotted[1][1])

    def test_what_cannot_be_is_told_before_the_measurement(self):
        for words in [("--roofline", str(self.root / "none" / "x.svg")), ("--roofline", str(self.root)), ("-d", "-5")]:
            done = self.compare("-r", "1", *words)
            self.assertIn(done.returncode, (1, 2))
            self.assertEqual(done.stdout, "")
            self.assertNotIn("Traceback", done.stderr)
            self.assertNotIn("tokens/s", done.stderr)

    def test_failures_are_told(self):
        self.peer = self.program("llama-bench", "#!/bin/sh\necho broken >&2\nexit 3\n")
        done = self.compare("-r", "1")
        self.assertEqual(done.returncode, 1)
        self.assertEqual(done.stdout, "")
        self.assertIn("ended with 3: broken", done.stderr)
        self.peer = str(self.root / "absent")
        self.assertIn("cannot run", self.compare("-r", "1").stderr)


if __name__ == "__main__":
    unittest.main()
