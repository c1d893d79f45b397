"""`python -m bench`: every part in a process of its own, so that each has its own peak of memory; one table."""

import argparse
import asyncio
import json
import logging
import os
import platform
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import structlog

from bench import exports, nudges, pages, planning, replies, simulating, starting
from bench.figures import Figure, peak_memory_mb, table
from cli.wiring import clock

PARTS: dict[str, Callable[..., Awaitable[list[Figure]]]] = {
    "replies": replies.measure,
    "nudges": nudges.measure,
    "limiter": nudges.measure_limiter,
    "planning": planning.measure,
    "starting": starting.measure,
    "pages": pages.measure,
    "exports": exports.measure,
    "simulating": simulating.measure,
}


def main() -> int:
    """Measure what was asked for; 1 where a part could not be measured, whatever the figures say."""
    given = _arguments()
    if given.part:
        return _measured_here(given.part, Path(given.folder), quick=given.quick, into=Path(given.json))
    parts = [given.only] if given.only else list(PARTS)
    load_before = os.getloadavg()[0]
    began = clock()
    print(f"{began:%Y-%m-%d %H:%M} UTC, {_machine()}", flush=True)
    figures, failed = [], []
    with tempfile.TemporaryDirectory(prefix="daybook-bench-") as folder:
        for part in parts:
            found = _measured_apart(part, Path(folder), quick=given.quick)
            if found is None:
                failed.append(part)
            else:
                figures += found
    took = (clock() - began).total_seconds()
    print(f"\n{table(figures)}\n")
    print("The ratio is how many times the floor's cost, the median of rounds in which both were measured in turn;")
    print("in brackets the lowest and the highest. Only ratios carry over to another machine.")
    print(f"Took {took:.0f} s; load {load_before:.1f} before and {os.getloadavg()[0]:.1f} after.")
    if given.json:
        _write(given, began.isoformat(timespec="seconds"), took, load_before, figures)
    for part in failed:
        print(f"{part} could not be measured; see above.", file=sys.stderr)
    return 1 if failed else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "--quick",
        action="store_true",
        help="smaller sizes, about a minute on a quiet machine; some aims are then left open",
    )
    parser.add_argument("--only", choices=PARTS, metavar="NAME", help=f"one part: {', '.join(PARTS)}")
    parser.add_argument("--json", metavar="FILE", help="write the figures there as well")
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    return parser.parse_args()


def _measured_apart(part: str, folder: Path, *, quick: bool) -> list[Figure] | None:
    """One part in a fresh process; its database goes as soon as it is done."""
    answer = folder / f"{part}.json"
    with tempfile.TemporaryDirectory(dir=folder) as room:
        command = [sys.executable, "-m", "bench", "--part", part, "--folder", room, "--json", str(answer)]
        print(f"{part} ...", flush=True)
        began = time.monotonic()
        done = subprocess.run([*command, *(["--quick"] if quick else [])], check=False)
        print(f"  {time.monotonic() - began:.0f} s", flush=True)
    if done.returncode:
        return None
    return [Figure.read(written) for written in json.loads(answer.read_text(encoding="utf-8"))]


def _measured_here(part: str, folder: Path, *, quick: bool, into: Path) -> int:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    before = peak_memory_mb()
    figures = asyncio.run(PARTS[part](folder, quick=quick))
    memory = Figure(
        f"peak memory of the part `{part}`",
        f"{peak_memory_mb():.0f} MB",
        f"{before:.0f} MB: everything imported, nothing done",
        f"{peak_memory_mb() / before:.2f}",
    )
    into.write_text(json.dumps([figure.written() for figure in (*figures, memory)]), encoding="utf-8")
    return 0


def _machine() -> str:
    return (
        f"{os.cpu_count()} x {_processor()}, {platform.system()}, Python {platform.python_version()}, "
        f"SQLite {sqlite3.sqlite_version}"
    )


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.machine()


def _write(given: argparse.Namespace, at: str, took: float, load: float, figures: list[Figure]) -> None:
    document: dict[str, Any] = {
        "at": at,
        "machine": _machine(),
        "quick": given.quick,
        "seconds": round(took),
        "load_before": round(load, 2),
        "figures": [figure.written() for figure in figures],
    }
    Path(given.json).write_text(json.dumps(document, indent=2, ensure_ascii=False), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
