#!/usr/bin/env python3
"""Measures puna beside llama.cpp on the same files, alternately, and prints medians and ratios.

usage: bench/compare.py [-m FILE]... [--puna PATH] [--peer PATH] [--rounds N] [-t N] [--json] [--roofline OUT.svg]

The two programs take turns, so that what else happens on the machine meets both. A ratio is the median of the rounds'
own ratios: a round that was disturbed as a whole falls out. stdout holds a Markdown table (or one JSON object), stderr
the progress. Needs nothing but the standard library.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
import statistics
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path


class Failure(Exception):
    """What the user should read, and nothing else."""


@dataclass
class Test:
    """One row of the table. Tokens/s of each round, by program; None where a program was not asked or failed."""

    name: str
    prompt: int
    generated: int
    depth: int
    parallel: int = 1
    rounds: dict[str, list[float]] = field(default_factory=lambda: {"puna": [], "peer": []})

    def median(self, program: str) -> float | None:
        values = self.rounds[program]
        return statistics.median(values) if values else None

    def ratio(self) -> float | None:
        pairs = [a / b for a, b in zip(self.rounds["puna"], self.rounds["peer"]) if b > 0]
        return statistics.median(pairs) if pairs else None


def wanted_tests(options: argparse.Namespace) -> list[Test]:
    tests = [Test("pp512", 512, 0, 0), Test("tg64", 0, 64, 0)]
    if options.depth > 0:
        tests.append(Test(f"tg32@d{options.depth}", 0, 32, options.depth))
    tests += [Test(f"tg32 x {n}", 0, 32, 0, n) for n in options.parallel]
    return tests


def run(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        raise Failure(f"cannot run {command[0]}: {error.strerror}") from error
    if done.returncode != 0:
        last = done.stderr.strip().splitlines()[-1:] or ["no message"]
        raise Failure(f"{' '.join(command)} ended with {done.returncode}: {last[0]}")
    return done.stdout


def json_lines(text: str) -> list[dict]:
    lines = []
    for line in text.splitlines():
        if line.startswith("{"):
            lines.append(json.loads(line))
    return lines


# ---- The programs ----


def puna_command(options: argparse.Namespace, model: str, test: Test) -> list[str]:
    command = [options.puna, "bench", "-m", model, "--json", "-r", "1"]
    command += ["-p", str(test.prompt), "-n", str(test.generated), "-d", str(test.depth)]
    command += ["--parallel", str(test.parallel), "-t", str(options.threads)]
    if options.activations:
        command += ["--activations", options.activations]
    return command


def measure_puna(options: argparse.Namespace, model: str, test: Test) -> tuple[float, dict]:
    report = json.loads(run(puna_command(options, model, test)))
    return report["rows"][0]["tokens_per_second"]["median"], report


def measure_peer(options: argparse.Namespace, model: str, test: Test) -> float | None:
    common = ["-m", model, "-t", str(options.threads)]
    if test.parallel == 1:
        command = [options.peer, *common, "-r", "1", "-o", "jsonl", "-p", str(test.prompt), "-n", str(test.generated)]
        if test.depth > 0:
            command += ["-d", str(test.depth)]
        rows = json_lines(run(command))
        if not rows:
            raise Failure(f"{options.peer} printed no result for {test.name}")
        return float(rows[-1]["avg_ts"])
    if options.batched_peer is None:
        return None
    prompt = 16  # tokens before each sequence: the program needs some
    context = test.parallel * (prompt + test.generated)
    command = [options.batched_peer, *common, "-c", str(context), "-npp", str(prompt), "-ntg", str(test.generated)]
    command += ["-npl", str(test.parallel), "--output-format", "jsonl"]
    rows = [row for row in json_lines(run(command)) if "speed_tg" in row]
    if not rows:
        raise Failure(f"{options.batched_peer} printed no result for {test.name}")
    return float(rows[-1]["speed_tg"])


def measure_round(options: argparse.Namespace, model: str, test: Test, reports: list[dict]) -> None:
    speed, report = measure_puna(options, model, test)
    reports.append(report)
    test.rounds["puna"].append(speed)
    words = f"{Path(model).name} {test.name}: puna {speed:.2f}"
    if options.peer is not None:
        peer = measure_peer(options, model, test)
        if peer is not None:
            test.rounds["peer"].append(peer)
            words += f", peer {peer:.2f}"
    others = report["machine"].get("others_percent") or 0
    disturbed = f" (disturbed: others took {others:.0f} % of the CPU)" if others > 5 else ""
    print(f"{words} tokens/s{disturbed}", file=sys.stderr)


# ---- What is printed ----


def table(results: dict[str, list[Test]]) -> str:
    lines = ["| model | test | puna, tokens/s | peer | ratio |", "|---|---|---:|---:|---:|"]

    def number(value: float | None) -> str:
        return "" if value is None else f"{value:.2f}"

    for model, tests in results.items():
        for test in tests:
            cells = [Path(model).name.replace("|", "\\|"), test.name, number(test.median("puna"))]
            cells += [number(test.median("peer")), number(test.ratio())]
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def as_json(results: dict[str, list[Test]], reports: list[dict]) -> dict:
    rows = []
    for model, tests in results.items():
        for test in tests:
            rows.append(
                {
                    "model": Path(model).name,
                    "test": test.name,
                    "puna": test.median("puna"),
                    "peer": test.median("peer"),
                    "ratio": test.ratio(),
                    "rounds": test.rounds,
                }
            )
    best = best_limits(reports)
    machine = reports[-1]["machine"] if reports else None
    return {"machine": machine, "limits": best, "rows": rows}


# ---- The roofline: Williams, Waterman and Patterson 2009 ----


def best_limits(reports: list[dict]) -> dict:
    """The best of all runs: a disturbed measurement of a limit would flatter the rows."""
    best: dict = {"read_gb_s": 0.0}
    for report in reports:
        for value in report["limits"]["read_gb_s"].values():
            best["read_gb_s"] = max(best["read_gb_s"], value or 0.0)
        for kind, value in report["limits"]["gmac_s"].items():
            if value:
                best[kind] = max(best.get(kind, 0.0), value)
    return best


@dataclass
class Point:
    """A measured row."""

    label: str
    intensity: float  # multiply-adds per byte
    gmac_s: float


def points_of(reports: list[dict]) -> list[Point]:
    groups: dict[tuple, list[dict]] = {}
    for report in reports:
        for row in report.get("rows", []):
            groups.setdefault((row["model"], row["test"], row["parallel"]), []).append(row)
    points = []
    for (model, test, parallel), rows in groups.items():
        intensity = rows[0]["multiply_adds_per_byte"]
        rate = statistics.median(row["gmac_s"] if "gmac_s" in row else row["gb_s"] * intensity for row in rows)
        label = f"{model.removesuffix('.gguf')} {test}" + (f" x {parallel}" if parallel > 1 else "")
        points.append(Point(label, intensity, rate))
    return points


class LogAxis:
    """Maps a positive number to pixels."""

    def __init__(self, low: float, high: float, start: float, end: float) -> None:
        self.low, self.high = math.floor(math.log10(low)), math.ceil(math.log10(high))
        self.start, self.end = start, end

    def at(self, value: float) -> float:
        share = (math.log10(value) - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)

    def decades(self) -> list[int]:
        return list(range(self.low, self.high + 1))

    def clamp(self, value: float) -> float:
        return min(max(value, 10.0**self.low), 10.0**self.high)


def escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def svg_text(x: float, y: float, words: str, anchor: str = "start", extra: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{extra}>{escape(words)}</text>'


def svg_line(x1: float, y1: float, x2: float, y2: float, color: str, width: float = 1) -> str:
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{color}" stroke-width="{width}"/>'
    )


def roofline(points: list[Point], limits: dict, title: str) -> str:
    """An SVG picture: limits as lines, rows as points."""
    width, height, left, right, top, bottom = 860, 520, 70, 250, 40, 50
    peaks = {kind: value for kind, value in limits.items() if kind != "read_gb_s"}
    bandwidth = limits["read_gb_s"]
    rates = [point.gmac_s for point in points] + list(peaks.values())
    intensities = [point.intensity for point in points] + [peak / bandwidth for peak in peaks.values()]
    x = LogAxis(min(intensities) / 1.5, max(intensities) * 1.5, left, width - right)
    y = LogAxis(min(rates) / 1.5, max(rates) * 1.2, height - bottom, top)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="11">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
        svg_text(left, 22, title, extra=' font-size="14"'),
    ]
    for decade in x.decades():
        at = x.at(10.0**decade)
        parts.append(svg_line(at, y.start, at, y.end, "#dddddd"))
        parts.append(svg_text(at, y.start + 16, f"{10.0**decade:g}", "middle"))
    for decade in y.decades():
        at = y.at(10.0**decade)
        parts.append(svg_line(x.start, at, x.end, at, "#dddddd"))
        parts.append(svg_text(x.start - 6, at + 4, f"{10.0**decade:g}", "end"))
    parts.append(svg_text((x.start + x.end) / 2, height - 12, "multiply-adds per byte", "middle"))
    middle = (y.start + y.end) / 2
    parts.append(svg_text(18, middle, "GMAC/s", "middle", f' transform="rotate(-90 18 {middle:.1f})"'))

    # The memory's roof rises by one decade a decade, up to the highest of the peaks.
    top_rate = max(peaks.values(), default=10.0**y.high)
    begin = max(10.0**x.low, 10.0**y.low / bandwidth)
    end = min(10.0**x.high, top_rate / bandwidth)
    parts.append(svg_line(x.at(begin), y.at(begin * bandwidth), x.at(end), y.at(end * bandwidth), "#333333", 2))
    parts.append(svg_text(x.at(begin) + 6, y.at(begin * bandwidth) - 8, f"read {bandwidth:.1f} GB/s"))
    for kind, peak in sorted(peaks.items(), key=lambda item: item[1]):
        parts.append(svg_line(x.at(x.clamp(peak / bandwidth)), y.at(peak), x.end, y.at(peak), "#777777", 1.5))
        parts.append(svg_text(x.end - 4, y.at(peak) - 4, f"{kind} {peak:.0f}", "end"))

    colors = ["#c0392b", "#2471a3", "#1e8449", "#b9770e", "#7d3c98", "#117a65", "#5d6d7e", "#a04000"]
    for number, point in enumerate(sorted(points, key=lambda p: p.intensity)):
        color = colors[number % len(colors)]
        px, py = x.at(point.intensity), y.at(point.gmac_s)
        parts.append(f'<circle cx="{px:.1f}" cy="{py:.1f}" r="5" fill="{color}"/>')
        parts.append(svg_text(px, py + 18, str(number + 1), "middle", f' fill="{color}"'))
        line = top + 14 + 17 * number
        parts.append(f'<circle cx="{width - right + 20}" cy="{line - 4}" r="4" fill="{color}"/>')
        parts.append(svg_text(width - right + 30, line, f"{number + 1}  {point.label}: {point.gmac_s:.1f}"))
    parts.append("</svg>")
    return "\n".join(parts) + "\n"


# ---- The command line ----


def positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value


def at_least_zero(text: str) -> int:
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError("must be at least 0")
    return value


def numbers(text: str) -> list[int]:
    return [positive(part) for part in text.split(",") if part]


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="puna beside llama.cpp, on the same files, in turns")
    parser.add_argument("-m", "--model-path", action="append", required=True, metavar="FILE", dest="models")
    parser.add_argument("--puna", default=None, metavar="PATH", help="default: build/release/puna, or puna on PATH")
    parser.add_argument("--peer", default=None, metavar="PATH", help="llama-bench (default: the one on PATH)")
    parser.add_argument(
        "--batched-peer", default=None, metavar="PATH", help="llama-batched-bench (default: beside llama-bench)"
    )
    parser.add_argument("-r", "--rounds", type=positive, default=3, metavar="N")
    parser.add_argument("-t", "--threads", type=positive, default=None, metavar="N", help="default: the cores")
    parser.add_argument(
        "-d", "--depth", type=at_least_zero, default=4096, metavar="N", help="of the test far in; 0 leaves it out"
    )
    parser.add_argument("--parallel", type=numbers, default=[1, 2, 4, 8, 16], metavar="N,...", help="'' leaves it out")
    parser.add_argument("--activations", default=None, metavar="TYPE", help="puna's (default: its own default)")
    parser.add_argument("--json", action="store_true", help="one JSON object in place of the table")
    parser.add_argument("--roofline", default=None, metavar="OUT.svg")
    options = parser.parse_args()

    built = Path(__file__).resolve().parent.parent / "build" / "release" / "puna"
    options.puna = options.puna or (str(built) if built.exists() else shutil.which("puna"))
    if options.puna is None:
        raise Failure("no puna: build it (make build), or give --puna PATH")
    if options.peer is None:
        options.peer = shutil.which("llama-bench")
    if options.peer is None:
        print("no llama-bench on PATH: puna alone is measured (--peer PATH names one)", file=sys.stderr)
    elif options.batched_peer is None:
        beside = Path(options.peer).with_name("llama-batched-bench")
        options.batched_peer = str(beside) if beside.exists() else shutil.which("llama-batched-bench")
    if options.threads is None:
        options.threads = json.loads(run([options.puna, "doctor", "--json"]))["cores"]
    # Prompts cannot be compared in parallel: there is one of them.
    options.parallel = [n for n in options.parallel if n > 1]
    return options


def check_picture(path: str) -> None:
    """A picture that cannot be written is told before the measurement, not after it."""
    folder = Path(path).parent
    if not folder.is_dir() or not os.access(folder, os.W_OK) or Path(path).is_dir():
        raise Failure(f"cannot write {path}: check the path")


def draw(options: argparse.Namespace, reports: list[dict]) -> None:
    machine = reports[-1]["machine"]
    title = f"{machine['cpu']}, {options.threads} threads, {machine['kernels']}"
    picture = roofline(points_of(reports), best_limits(reports), title)
    try:
        Path(options.roofline).write_text(picture, encoding="utf-8")
    except OSError as error:
        raise Failure(f"cannot write {options.roofline}: {error.strerror}") from error


def main() -> int:
    options = parse_options()
    if options.roofline:
        check_picture(options.roofline)
    results = {model: wanted_tests(options) for model in options.models}
    reports: list[dict] = []
    interrupted = False
    try:
        for _ in range(options.rounds):
            for model, tests in results.items():
                for test in tests:
                    measure_round(options, model, test, reports)
    except KeyboardInterrupt:  # what was measured is printed all the same
        interrupted = True
    if options.json:
        print(json.dumps(as_json(results, reports)))
    else:
        print(table(results), end="")
    if options.roofline and reports:
        draw(options, reports)
    return 130 if interrupted else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failure as failure:
        print(f"compare.py: {failure}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
