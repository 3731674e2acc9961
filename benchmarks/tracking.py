"""What tracking adds to a run's wall time: `python benchmarks/tracking.py [--repeats N]`.

Runs the main job with and without tracking, by turns, on the default problems and on 164 of
HumanEval+ (where it is at hand), without the store, and prints both medians. The first
tracked run, which creates the database, is not counted. Use a quiet machine.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def seconds(folder: Path, *arguments: str) -> float:
    command = [sys.executable, str(ROOT / "run.py"), f"models={ROOT / 'models'}", "cache=off"]
    started = time.perf_counter()
    done = subprocess.run([*command, *arguments], cwd=folder, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    return time.perf_counter() - started


def measure(name: str, repeats: int, *arguments: str) -> None:
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        seconds(folder, *arguments, "limit=1")
        taken: dict[str, list[float]] = {"true": [], "false": []}
        for _ in range(repeats):
            for enabled, times in taken.items():
                times.append(seconds(folder, *arguments, f"tracking.enabled={enabled}"))
    tracked, bare = (statistics.median(taken[key]) for key in ("true", "false"))
    share = 100 * (tracked / bare - 1)
    print(f"{name}: {bare:.2f} s without tracking, {tracked:.2f} s with it: {share:+.1f} %")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    measure("default run", repeats, f"dataset.folder={ROOT / 'problems'}")
    if os.environ.get("HUMANEVAL_OVERRIDE_PATH"):
        measure("164 problems", repeats, "dataset=humaneval_plus")
    else:
        print("164 problems: set HUMANEVAL_OVERRIDE_PATH to HumanEvalPlus.jsonl")


if __name__ == "__main__":
    main()
