#!/usr/bin/env python3
"""Runs clang-tidy on the project's sources, and fails if it has anything to say.

    tools/tidy.py BUILD_FOLDER JOBS [FILE]...

BUILD_FOLDER holds compile_commands.json. With files named, each of those is looked at alone.

Without, all of src/ that is compiled there is. Nearly all of clang-tidy's time goes into the headers that every file
includes, so the files of a folder that are compiled alike are looked at as one: written one after another into one file,
below BUILD_FOLDER/tidy. If that passes, they have passed. If it does not, for a true finding or because names of two
files collide, that proves nothing, and each of them is looked at alone; only then is a finding one. So nothing that is
found is lost and nothing is found that is not there: a collision costs time. What belongs to a file alone and could be
hidden by its neighbours, an unused `using`, tests/layout_test.py sees to.
"""

import json
import shlex
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TIDY = "clang-tidy-19"


def clang_tidy(build, file):
    """(passed, what was found). The compiler's own warnings are g++'s to judge."""
    command = [TIDY, "-p", str(build), f"--config-file={ROOT / '.clang-tidy'}", "--quiet", "--extra-arg=-Wno-error",
               "--warnings-as-errors=*", str(file)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    # What it writes to stderr (counts of suppressed warnings) matters only if it fails.
    return run.returncode == 0, run.stdout + (run.stderr if run.returncode else "")


def flags_of(entry):
    """How an entry of compile_commands.json compiles, without the names of its files."""
    words = shlex.split(entry["command"])
    flags = [words[0]]
    rest = iter(words[1:])
    for word in rest:
        if word in ("-o", "-c", "-MF", "-MT"):
            next(rest)  # the source follows -c
        elif word != "-MD":
            flags.append(word)
    return flags


def compiled_sources(build, root):
    """(source, entry) of what is compiled from root/src: no kernel set of another architecture is."""
    for entry in json.loads(Path(build, "compile_commands.json").read_text()):
        file = Path(entry["directory"], entry["file"])
        if file.is_relative_to(root / "src"):
            yield file, entry


def write_groups(build, root):
    """Files that go together, and the one that holds them all, with its compile command: [(file, sources)]."""
    groups = {}
    for file, entry in compiled_sources(build, root):
        groups.setdefault((file.parent, tuple(flags_of(entry))), {})[file] = entry["directory"]
    folder = Path(build, "tidy").resolve()
    folder.mkdir(exist_ok=True)
    written, commands = [], []
    for number, ((parent, flags), sources) in enumerate(sorted(groups.items())):
        together = folder / f"{'_'.join(parent.relative_to(root).parts)}_{number}.cc"
        together.write_text("".join(f"// {file}\n{file.read_text()}\n" for file in sources))
        commands.append({"directory": next(iter(sources.values())), "file": str(together),
                         "command": shlex.join([*flags, "-c", str(together)])})
        written.append((together, list(sources)))
    (folder / "compile_commands.json").write_text(json.dumps(commands, indent=1))
    # The longest first, so that no job ends long after the others.
    return folder, sorted(written, key=lambda group: -group[0].stat().st_size)


def files_to_see_alone(build, root, pool):
    """Of all sources, those that did not pass together with their neighbours."""
    folder, groups = write_groups(build, root)
    print(f"lint: clang-tidy on {sum(len(sources) for _, sources in groups)} files, in {len(groups)} groups",
          file=sys.stderr)
    alone = []
    for (_, sources), (passed, found) in zip(groups, pool.map(lambda group: clang_tidy(folder, group[0]), groups)):
        if not passed:
            alone += sources
            why = next((line for line in found.splitlines() if "error:" in line), found.strip())
            print(f"lint: {sources[0].parent.relative_to(root)} does not pass as one ({why.split('error: ')[-1]})",
                  file=sys.stderr)
    return alone


def tidy(build, jobs, files, root=ROOT):
    """Whether all is well; findings go to stdout."""
    with ThreadPoolExecutor(jobs) as pool:
        files = files or files_to_see_alone(build, root, pool)
        if files:
            print(f"lint: clang-tidy on {len(files)} files, one by one", file=sys.stderr)
        good = True
        for passed, found in pool.map(lambda file: clang_tidy(build, file), files):
            print(found, end="")
            good = good and passed
    return good


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    sys.exit(0 if tidy(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]) else 1)
