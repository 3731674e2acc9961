"""What tracking adds to a run's wall time: `python benchmarks/tracking.py [--repeats N]`.

Runs the main job with and without tracking, in pairs that begin with the one and the other by
turns, on the default problems and on 164 of HumanEval+ (where it is at hand), without the store.
Prints both medians, and the median of the pairs' ratios with its interval: where a machine's
speed drifts, a pair has more of it in common than two medians have. The first tracked run, which
creates the database, is not counted. Takes a quarter of an hour of a quiet machine.
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ENVIRONMENT = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
"""As people have it: both processes would compile the same sources at each start."""


def seconds(folder: Path, *arguments: str) -> float:
    command = [sys.executable, str(ROOT / "run.py"), f"models={ROOT / 'models'}", "cache=off"]
    started = time.perf_counter()
    done = subprocess.run(
        [*command, *arguments], cwd=folder, env=ENVIRONMENT, capture_output=True, text=True
    )
    if done.returncode:
        sys.exit(done.stderr)
    return time.perf_counter() - started


def measure(name: str, repeats: int, *arguments: str) -> None:
    pairs: list[tuple[float, float]] = []
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)

        def timed(enabled: str) -> float:
            return seconds(folder, *arguments, f"tracking.enabled={enabled}")

        seconds(folder, *arguments, "limit=1")
        for repeat in range(repeats):
            if repeat % 2:
                bare = timed("false")
                pairs.append((timed("true"), bare))
            else:
                pairs.append((timed("true"), timed("false")))
    tracked, bare = (statistics.median(times) for times in zip(*pairs, strict=True))
    more = sorted(100 * (tracked / bare - 1) for tracked, bare in pairs)
    low, high, confidence = interval(more)
    print(
        f"{name}: {bare:.2f} s without tracking, {tracked:.2f} s with it; "
        f"pair by pair {statistics.median(more):+.1f} % "
        f"({100 * confidence:.0f} % interval {low:+.1f} to {high:+.1f})"
    )


def interval(ordered: list[float]) -> tuple[float, float, float]:
    """Return the order statistics that enclose the median with at least 95 %, and with how much.

    As the sign test has it (Conover, Practical Nonparametric Statistics, 3.2). With fewer than
    six values the whole range encloses it with less.
    """
    n = len(ordered)

    def enclosing(left: int) -> float:
        return 1 - 2 * sum(math.comb(n, k) for k in range(left + 1)) / 2**n

    left = max((k for k in range(n // 2) if enclosing(k) >= 0.95), default=0)
    return ordered[left], ordered[n - 1 - left], enclosing(left)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=21)
    repeats = parser.parse_args().repeats
    measure("default run", repeats, f"dataset.folder={ROOT / 'problems'}")
    if os.environ.get("HUMANEVAL_OVERRIDE_PATH"):
        measure("164 problems", repeats, "dataset=humaneval_plus")
    else:
        print("164 problems: set HUMANEVAL_OVERRIDE_PATH to HumanEvalPlus.jsonl")


if __name__ == "__main__":
    main()
