#!/usr/bin/env python3
"""Holds the source tree to the layout that docs/architecture.md describes.

Checks, over the tree that this file lies in: includes follow the ranks of the rooms; every folder of src/ and every
CMake target of src/CMakeLists.txt is in the table below, and that table on the page; each room keeps to its namespace; no file is longer than 800
lines; no test can be skipped; a few calls that the house does without do not appear; no package registry is named.
Each check is itself tested, on small trees that break it. Needs the standard library of Python alone.
"""

import os
import re
import sys
import tempfile
import unittest
from pathlib import Path

# Rooms and their ranks (docs/architecture.md). A room includes rooms of lower rank, and itself.
RANKS = {
    "base": 0,
    "quant": 1,
    "text": 1,
    "formats": 2,
    "kernels": 2,
    "store": 2,
    "nn": 3,
    "models": 4,
    "sampling": 4,
    "engine": 5,
    "convert": 6,
    "api": 7,
    "server": 8,
    "cli": 9,
}
PUBLIC = "puna"  # include/puna/, rank 0: for every room to include, and needs only the standard library

# Targets beside the rooms' own, `puna_<room>`.
TARGETS = {"puna", "puna::puna", "puna_binary"}

# Folders of tests/ that mirror no room: helpers of several tests, and the test of the installed tree.
TEST_FOLDERS = {"support", "install"}

LINE_LIMIT = 800
DATA_TABLE = re.compile(r"_(data|tables?)\.(cc|h|inc|py)$")

SOURCE_SUFFIXES = {".cc", ".h", ".inc"}
TEXT_SUFFIXES = SOURCE_SUFFIXES | {".py", ".sh", ".md", ".txt", ".cmake", ".json", ".in", ".yml", ".yaml", ".toml", ""}
UNREAD_FOLDERS = {".git", "__pycache__"}

STANDARD_HEADERS = set(
    """
    algorithm any array atomic barrier bit bitset cassert cctype cerrno cfenv cfloat charconv chrono cinttypes climits
    clocale cmath codecvt compare complex concepts condition_variable coroutine csetjmp csignal cstdarg cstddef cstdint
    cstdio cstdlib cstring ctime cuchar cwchar cwctype deque exception execution filesystem forward_list fstream
    functional future initializer_list iomanip ios iosfwd iostream istream iterator latch limits list locale map memory
    memory_resource mutex new numbers numeric optional ostream queue random ranges ratio regex scoped_allocator
    semaphore set shared_mutex source_location span sstream stack stdexcept stop_token streambuf string string_view
    syncstream system_error thread tuple type_traits typeindex typeinfo unordered_map unordered_set utility valarray
    variant vector version
    """.split()
)

# What the house does without, by where: (files, pattern, why).
FORBIDDEN = [
    ("src", re.compile(r"\bstd::(basic_)?regex\b|#include <regex>"), "scanners are written by hand; no std::regex"),
    ("src", re.compile(r"\bstd::sto(i|l|ll|ul|ull|f|d|ld)\b"), "it throws on bad input; use std::from_chars"),
    ("src", re.compile(r"(?<![\w.>:])(std::)?(abort|exit|quick_exit|terminate)\s*\("),
     "nothing ends the process from within; return an Error"),
    ("tests", re.compile(r"\bGTEST_SKIP\b|\bDISABLED_\w"), "a test that does not run proves nothing"),
    ("cmake", re.compile(r"-march=native|-mtune=native|-ffast-math|-Ofast"),
     "builds are portable, and floating point keeps its order"),
]

# Written in halves, so that this file does not name them itself.
REGISTRIES = re.compile(
    r"\b("
    + "|".join(
        name + r"\." + domain
        for name, domain in [
            ("pypi", "org"), ("pythonhosted", "org"), ("huggingface", "co"), ("hf", "co"), ("modelscope", "cn"),
            ("ollama", "ai"), ("ollama", "com"), ("npmjs", "(org|com)"), ("crates", "io"), ("docker", "(io|com)"),
            ("ghcr", "io"), ("quay", "io"), ("anaconda", "(org|com)"), ("conda-forge", "org"), ("debian", "org"),
            ("ubuntu", "com"), ("conan", "io"), ("rubygems", "org"), ("golang", "org"),
        ]
    )
    + r")\b"
)

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)
NAMESPACE = re.compile(r"^(?:inline\s+)?namespace\b[ \t]*([\w:]*)[ \t]*\{", re.MULTILINE)
COMMENT_OR_STRING = re.compile(r'//[^\n]*|/\*.*?\*/|R"(\w*)\(.*?\)\1"|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])\'', re.DOTALL)
USING = re.compile(r"^[ \t]*(?:using (?:::)?(?:\w+::)+(\w+);|namespace (\w+) = [\w:]+;)", re.MULTILINE)
TEST_HEADERS = [
    (re.compile(r"\b((EXPECT|ASSERT)_THAT|MOCK_METHOD)\b"), {"gmock/gmock.h"}),
    (re.compile(r"\b((EXPECT|ASSERT|SCOPED|INSTANTIATE)_[A-Z_]+|TEST(_[FP])?)\b|\btesting::"), {"gmock/gmock.h", "gtest/gtest.h"}),
]
TARGET = re.compile(r"^[ \t]*(puna_room|add_library|add_executable|add_custom_target)\(\s*([^\s)]+)", re.MULTILINE)


class Tree:
    """The text files under a root, read once. Paths are relative, with slashes."""

    def __init__(self, root):
        self.root = Path(root)
        self.text = {}
        for folder, folders, files in os.walk(self.root):
            folders[:] = sorted(f for f in folders if not self.is_unread(Path(folder), f))
            for name in sorted(files):
                path = Path(folder, name)
                if path.suffix in TEXT_SUFFIXES and not path.is_symlink():
                    text = path.read_bytes().decode("utf-8", "replace")
                    if "\0" not in text:
                        self.text[path.relative_to(self.root).as_posix()] = text

    def is_unread(self, parent, folder):
        return folder in UNREAD_FOLDERS or (parent == self.root and folder.startswith("build"))

    def sources(self, *tops):
        for path, text in self.text.items():
            if path.split("/")[0] in tops and Path(path).suffix in SOURCE_SUFFIXES:
                yield path, text

    def folders(self, top):
        base = self.root / top
        return sorted(p.name for p in base.iterdir() if p.is_dir()) if base.is_dir() else []


def without_comments(text):
    """`text` with comments and string contents blanked, lines kept."""
    return COMMENT_OR_STRING.sub(lambda m: re.sub(r"[^\n]", " ", m.group()), text)


def line_of(text, offset):
    return text.count("\n", 0, offset) + 1


def check_includes(tree):
    """Includes that climb the ranks, in src/, include/ and tests/ (which may use what the room that they test may)."""
    for path, text in tree.sources("src", "include", "tests"):
        top, room = path.split("/")[:2]
        if top == "src" and room not in RANKS:
            continue  # check_folders names it
        for match in INCLUDE.finditer(text):
            included = match.group(2)
            where = f"{path}:{line_of(text, match.start())}"
            if top == "include":
                own = included.startswith(PUBLIC + "/")
                if not own and not (match.group(1) == "<" and included in STANDARD_HEADERS):
                    yield f"{where}: {included}: a public header needs the standard library alone"
                continue
            target = included.split("/")[0]
            if match.group(1) == "<" and target not in RANKS:
                continue  # a system's or library's header
            if target == PUBLIC or (top == "tests" and target in TEST_FOLDERS):
                continue
            if target not in RANKS:
                yield f"{where}: {included}: includes are written from src/, as <room>/<file>"
            elif room in RANKS and target != room and RANKS[target] >= RANKS[room]:
                yield (f"{where}: {room} (rank {RANKS[room]}) includes {included} (rank {RANKS[target]}); "
                       "only lower ranks may be included")


def check_folders(tree):
    """Folders and CMake targets that the table does not name."""
    for folder in tree.folders("src"):
        if folder not in RANKS:
            yield f"src/{folder}: no such room in the table of {Path(__file__).name}"
    for folder in tree.folders("tests"):
        if folder not in RANKS and folder not in TEST_FOLDERS and folder not in UNREAD_FOLDERS:
            yield f"tests/{folder}: tests mirror src/, and there is no such room"
    for path in ("CMakeLists.txt", "src/CMakeLists.txt"):
        for match in TARGET.finditer(tree.text.get(path, "")):
            command, name = match.groups()
            known = name in RANKS if command == "puna_room" else name in TARGETS or name == "puna_${name}"
            if not known:
                yield f"{path}:{line_of(tree.text[path], match.start())}: target {name} is not in the table"
    built = {name for _, name in TARGET.findall(tree.text.get("src/CMakeLists.txt", ""))}
    for path, _ in tree.sources("src"):
        room = path.split("/")[1]
        if room in RANKS and room not in built and path.endswith(".cc"):
            yield f"{path}: src/CMakeLists.txt does not build the room {room}"


def check_namespaces(tree):
    """Files of a room outside the room's namespace."""
    for path, text in tree.sources("src"):
        room = path.split("/")[1]
        if room not in RANKS or path == "src/cli/main.cc":
            continue
        code = without_comments(text)
        opened = [(m.group(1), m.start()) for m in NAMESPACE.finditer(code) if m.group(1)]
        own = f"puna::{room}"
        for name, offset in opened:
            is_own = name == own or name.startswith(own + "::") or (room == "api" and name == "puna")
            nested = not name.startswith("puna") and code.count("{", 0, offset) > code.count("}", 0, offset)
            if not is_own and not nested:
                yield f"{path}:{line_of(code, offset)}: namespace {name} in a file of {own}"
        only_preprocessor = not re.sub(r"^[ \t]*#(.*\\\n)*.*$", "", code, flags=re.MULTILINE).strip()
        if not opened and not only_preprocessor and not path.endswith(".inc"):
            yield f"{path}: opens no namespace {own}"
    for path, text in tree.sources("include"):
        code = without_comments(text)
        for match in NAMESPACE.finditer(code):
            if match.group(1) not in ("puna", ""):
                yield f"{path}:{line_of(code, match.start())}: public headers live in namespace puna"


def check_lengths(tree):
    """Files over the line limit, tables of data excepted."""
    for path, text in tree.text.items():
        top = path.split("/")[0]
        if top not in ("docs", "LICENSE") and "/data/" not in path and not DATA_TABLE.search(path):
            lines = text.count("\n")
            if lines > LINE_LIMIT:
                yield f"{path}: {lines} lines, and the limit is {LINE_LIMIT}"


def check_forbidden(tree):
    """Calls and options that the house does without."""
    for path, text in tree.text.items():
        is_cmake = path.endswith(("CMakeLists.txt", ".cmake", "CMakePresets.json", "Makefile"))
        kind = "cmake" if is_cmake else path.split("/")[0] if Path(path).suffix in SOURCE_SUFFIXES else None
        code = without_comments(text) if kind in ("src", "tests") else text
        for where, pattern, why in FORBIDDEN:
            for match in pattern.finditer(code) if kind == where else ():
                yield f"{path}:{line_of(code, match.start())}: {match.group().strip()}: {why}"


def check_usings(tree):
    """What each file has to have or use by itself: its neighbours hide it from clang-tidy (tools/tidy.py), which looks
    at a folder as one, and from the compiler, which finds GoogleTest in tests precompiled."""
    for path, text in tree.sources("src"):
        code = without_comments(text)
        for match in USING.finditer(code) if path.endswith(".cc") else ():
            name = match.group(1) or match.group(2)
            if len(re.findall(rf"\b{name}\b", code[match.end():])) == 0:
                yield f"{path}:{line_of(code, match.start(match.lastindex))}: {name} is not used below"
    for path, text in tree.sources("tests"):
        code = without_comments(text)
        included = {match.group(2) for match in INCLUDE.finditer(text)}
        for pattern, headers in TEST_HEADERS:
            match = pattern.search(code)
            if match and not included & headers:
                yield f"{path}:{line_of(code, match.start())}: {match.group()} needs <{max(headers)}>"


def check_registries(tree):
    """Host names of package and model registries: tools know where their packages come from."""
    for path, text in tree.text.items():
        for match in REGISTRIES.finditer(text) if "/data/" not in path else ():
            yield f"{path}:{line_of(text, match.start())}: names a registry, {match.group()}"


def check_documented(tree):
    """The table above, against the one that people read."""
    path = "docs/architecture.md"
    rows = re.findall(r"^\| (\d+) \| `(\w+)/` \|", tree.text.get(path, ""), re.MULTILINE)
    documented = {room: int(rank) for rank, room in rows}
    for room in sorted(set(RANKS) | set(documented)):
        if RANKS.get(room) != documented.get(room):
            yield f"{path}: the rank of {room} is {documented.get(room)} there and {RANKS.get(room)} in the test"


CHECKS = [check_documented, check_includes, check_folders, check_namespaces, check_lengths, check_forbidden, check_usings,
          check_registries]


class TheTree(unittest.TestCase):
    """This project's own tree."""

    maxDiff = None

    def test_layout(self):
        tree = Tree(Path(__file__).resolve().parent.parent)
        self.assertIn("src/CMakeLists.txt", tree.text, "the project's root was not found")
        problems = [problem for check in CHECKS for problem in check(tree)]
        self.assertEqual(problems, [], "\n" + "\n".join(problems))


class TheChecks(unittest.TestCase):
    """Each check finds what it is there for, and leaves a good tree alone."""

    GOOD = {
        "include/puna/error.h": '#include <string>\n#include "puna/version.h"\nnamespace puna {\n}\n',
        "src/CMakeLists.txt": "puna_room(base)\npuna_room(quant)\npuna_room(api)\nadd_library(puna x)\n",
        "src/base/a.h": '#include <vector>\n#include "puna/error.h"\n#include <fmt/core.h>\nnamespace puna::base {\n}\n',
        "src/base/try.h": "#define PUNA_A(x) \\\n    (x)\n",
        "src/quant/q.cc": '#include "base/a.h"\n#include "quant/q.h"\nnamespace puna::quant {\nnamespace k {\n}\n}\n',
        "src/api/engine.cc": '#include "quant/q.h"\nnamespace puna {\n}\n',
        "tests/quant/q_test.cc": '#include "quant/q.h"\n#include "support/s.h"\n#include <gtest/gtest.h>\n',
        "tests/support/s.h": '#include "engine/e.h"\n#include "support/t.h"\n',
        "docs/long.md": "line\n" * 2000,
        "docs/architecture.md": "".join(f"| {rank} | `{room}/` | things |\n" for room, rank in RANKS.items()),
        "src/base/unicode_data.cc": "namespace puna::base {\n" + "1,\n" * 2000 + "}\n",
    }

    def problems(self, check, changes=()):
        with tempfile.TemporaryDirectory() as root:
            for path, text in {**self.GOOD, **dict(changes)}.items():
                Path(root, path).parent.mkdir(parents=True, exist_ok=True)
                Path(root, path).write_text(text)
            return list(check(Tree(root)))

    def assert_finds(self, check, path, text, expected):
        found = self.problems(check, {path: text})
        self.assertEqual(len(found), 1, found)
        self.assertIn(path, found[0])
        self.assertIn(expected, found[0])

    def test_a_good_tree_passes(self):
        for check in CHECKS:
            self.assertEqual(self.problems(check), [], check.__name__)

    def test_documented_table(self):
        page = self.GOOD["docs/architecture.md"]
        self.assert_finds(check_documented, "docs/architecture.md", page.replace("| 2 | `store/`", "| 3 | `store/`"), "store is 3")
        self.assert_finds(check_documented, "docs/architecture.md", page + "| 1 | `attic/` |\n", "attic is 1")

    def test_include_of_a_higher_rank(self):
        self.assert_finds(check_includes, "src/base/b.cc", '#include "quant/q.h"\n', "src/base/b.cc:1: base (rank 0)")

    def test_include_of_another_room_of_the_same_rank(self):
        self.assert_finds(check_includes, "src/quant/b.cc", '\n#include "text/t.h"\n', "src/quant/b.cc:2")

    def test_include_in_angle_brackets(self):
        self.assert_finds(check_includes, "src/base/b.cc", "#include <cli/c.h>\n", "cli/c.h (rank 9)")

    def test_include_relative_to_the_file(self):
        self.assert_finds(check_includes, "src/base/b.cc", '#include "../quant/q.h"\n', "written from src/")

    def test_include_of_a_room_by_a_public_header(self):
        self.assert_finds(check_includes, "include/puna/b.h", '#include "base/a.h"\n', "standard library alone")

    def test_include_of_a_library_by_a_public_header(self):
        self.assert_finds(check_includes, "include/puna/b.h", "#include <fmt/core.h>\n", "standard library alone")

    def test_include_by_a_test_of_a_higher_rank(self):
        self.assert_finds(check_includes, "tests/base/b_test.cc", '#include "engine/e.h"\n', "base (rank 0)")

    def test_unknown_room(self):
        self.assertIn("src/attic: no such room", self.problems(check_folders, {"src/attic/a.cc": ""})[0])

    def test_unknown_folder_of_tests(self):
        self.assertIn("tests/attic: tests mirror", self.problems(check_folders, {"tests/attic/a_test.cc": ""})[0])

    def test_unknown_target(self):
        text = self.GOOD["src/CMakeLists.txt"]
        for line in ("add_executable(tool a.cc)", "add_library(more STATIC a.cc)", "puna_room(attic)"):
            self.assert_finds(check_folders, "src/CMakeLists.txt", text + line + "\n", "is not in the table")

    def test_room_that_is_not_built(self):
        self.assert_finds(check_folders, "src/nn/a.cc", "", "does not build the room nn")

    def test_namespace_of_another_room(self):
        self.assert_finds(check_namespaces, "src/base/b.cc", "namespace puna::quant {\n}\n", "namespace puna::quant")

    def test_namespace_beside_that_of_the_room(self):
        text = "namespace puna::base {\nchar c = '{';\n}\nnamespace other {\n}\n"
        self.assert_finds(check_namespaces, "src/base/b.cc", text, "namespace other")

    def test_namespace_missing(self):
        self.assert_finds(check_namespaces, "src/base/b.cc", "int x;\n", "opens no namespace puna::base")

    def test_namespace_in_a_comment_does_not_count(self):
        self.assert_finds(check_namespaces, "src/base/b.cc", "/*\nnamespace puna::base {\n*/\nint x;\n", "opens no")

    def test_namespace_of_a_public_header(self):
        self.assert_finds(check_namespaces, "include/puna/b.h", "namespace other {\n}\n", "live in namespace puna")

    def test_length(self):
        text = "namespace puna::base {\n" + "\n" * LINE_LIMIT
        self.assert_finds(check_lengths, "src/base/b.cc", text, "801 lines")
        self.assert_finds(check_lengths, "tools/b.py", "\n" * 801, "801 lines")

    def test_forbidden_calls(self):
        for call in ("std::regex r;", "std::stoi(s);", "std::abort();", "exit(1);", "::exit(1);", "std::terminate();"):
            if call.startswith("::"):
                call = call[2:]
            self.assert_finds(check_forbidden, "src/base/b.cc", f"void f() {{\n    {call}\n}}\n", "src/base/b.cc:2")
        self.assertEqual(self.problems(check_forbidden, {"src/base/b.cc": "// exit(1)\non_exit(x); p->exit();\n"}), [])

    def test_skipped_tests(self):
        for line in ("GTEST_SKIP();", "TEST(A, DISABLED_B) {}"):
            self.assert_finds(check_forbidden, "tests/base/b_test.cc", line, "proves nothing")

    def test_forbidden_options(self):
        self.assert_finds(check_forbidden, "cmake/a.cmake", "add_compile_options(-march=native)", "portable")

    def test_unused_usings(self):
        text = "namespace puna::base {\nusing a::b::used;\nint x = used;  // unused\n%s\n}\n"
        self.assertEqual(self.problems(check_usings, {"src/base/b.cc": text % ""}), [])
        for line in ("using a::unused;", "    namespace unused = a::b;"):
            self.assert_finds(check_usings, "src/base/b.cc", text % line, "src/base/b.cc:4: unused is not used below")

    def test_headers_of_tests(self):
        test = "#include <gtest/gtest.h>\nTEST(A, B) {\n    EXPECT_EQ(1, 1);\n}\n"
        self.assertEqual(self.problems(check_usings, {"tests/base/b_test.cc": test}), [])
        self.assert_finds(check_usings, "tests/base/b_test.cc", test.replace("EQ", "THAT"), "needs <gmock/gmock.h>")
        self.assert_finds(check_usings, "tests/base/b_test.cc", test[test.index("TEST"):], "b_test.cc:1: TEST needs <gtest")

    def test_registries(self):
        host = ".".join(("files", "pythonhosted", "org"))
        self.assert_finds(check_registries, "tools/get.sh", f"curl https://{host}/x", "names a registry")


if __name__ == "__main__":
    sys.exit(unittest.main(verbosity=1))
