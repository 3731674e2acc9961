"""What tracking adds to a run's wall time, in pairs of runs with it and without.

    python benchmarks/tracking.py large     60 problems, 256 tokens each, 1.1 B parameters
    python benchmarks/tracking.py demo      60 problems, the demo model

Each pair begins with the one and the other by turns, and all go without the store. Printed are
both medians, and the median of the pairs' differences with its interval: where a machine's speed
drifts, a pair has more of it in common than two medians have. The database is there before; what
its creation takes, once, is not counted.

- large: a run of at least two minutes. The bar: less than 2 % longer.
- demo: a run of seconds. Each pair is followed by a process that does nothing but import MLflow
  and log the same. The bar: tracking adds no more than that takes.

The large model is made by benchmarks/generation.py. Expect 7 minutes a pair on two quiet cores
for the large model, half a minute for the small one. The exit code tells whether a bar was missed.
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
from dataclasses import replace
from pathlib import Path

from generation import LARGE, LETTERS, PROMPT_TOKENS, SHARED_TOKENS, model

ROOT = Path(__file__).resolve().parents[1]
MOST_PERCENT = 2.0
LEAST_SECONDS = 120.0


def main() -> int:
    """Measure one of the two, or one of their parts in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("large", "demo", "alone"))
    parser.add_argument("folder", nargs="?", type=Path, help="of a run, with `alone`")
    parser.add_argument("--repeats", type=int, help="pairs; 5 of the large model, 11 of the demo")
    parser.add_argument("--limit", type=int, default=60, help="problems")
    parser.add_argument("--max-tokens", type=int, default=256, help="of the large model")
    options = parser.parse_args()
    if options.what == "alone":
        log_alone(options.folder)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        if options.what == "large":
            return large(Path(folder), options.repeats or 5, options.limit, options.max_tokens)
        return demo(Path(folder), options.repeats or 11, options.limit)


def large(folder: Path, repeats: int, limit: int, max_tokens: int) -> int:
    """Return whether a run of minutes is longer with tracking than it may be."""
    given = [
        "model=local",
        f"model.file={model(LARGE, 'q4_0')}",
        "model.kind=completion",
        f"prompt.completion='{prompt()}'",
        f"sampling.max_tokens={max_tokens}",
        "backend.stop_when_complete=false",
    ]
    pairs = measured(folder, repeats, limit, given)
    percent = [100 * (tracked / bare - 1) for tracked, bare in pairs]
    middle = report("large", pairs, percent, "%")
    shortest = min(bare for _, bare in pairs)
    if shortest < LEAST_SECONDS:
        print(f"A run of {shortest:.0f} s is too short for the bar: more --max-tokens")
    return int(middle >= MOST_PERCENT or shortest < LEAST_SECONDS)


def prompt() -> str:
    """Return a prompt of 300 tokens for each problem, of which 200 are shared."""
    shared = "".join(LETTERS[(n * 7 + n // 26) % 26] for n in range(SHARED_TOKENS - 1))
    return shared + f"{{{{ (problem.id * 50)[:{PROMPT_TOKENS - SHARED_TOKENS}] | upper }}}}"


def demo(folder: Path, repeats: int, limit: int) -> int:
    """Return whether tracking adds more to a run of seconds than MLflow's own calls take."""
    pairs, alone = [], []
    for _ in range(repeats):
        pairs += measured(folder, 1, limit, [], first=len(pairs))
        tracked = [path.parent for path in folder.glob("outputs/*/*/metrics.json")]
        alone.append(seconds(folder, [__file__, "alone", str(max(tracked))]))
    added = [tracked - bare for tracked, bare in pairs]
    middle = report("demo", pairs, added, "s")
    print(f"MLflow alone: {statistics.median(alone):.2f} s to be imported and to log the same")
    return int(middle > statistics.median(alone))


def measured(
    folder: Path, repeats: int, limit: int, given: list[str], first: int = 0
) -> list[tuple[float, float]]:
    """Return the seconds of runs with tracking and without, in pairs."""
    command = [
        str(ROOT / "run.py"),
        f"models={ROOT / 'models'}",
        f"dataset.folder={ROOT / 'problems'}",
        "cache=off",
    ]
    if not first:
        seconds(folder, [*command, "backend=scripted", "limit=1"])  # creates the database
    pairs = []
    for number in range(first, first + repeats):
        taken = {}
        for enabled in ("true", "false") if number % 2 else ("false", "true"):
            of_both = [*command, *given, f"limit={limit}"]
            taken[enabled] = seconds(folder, [*of_both, f"tracking.enabled={enabled}"])
        pairs.append((taken["true"], taken["false"]))
        print(f"  {taken['true']:.2f} s with, {taken['false']:.2f} s without", file=sys.stderr)
    return pairs


def seconds(folder: Path, arguments: list[str]) -> float:
    """Return how long a command of Python takes."""
    as_people_have_it = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=as_people_have_it,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        sys.exit(done.stderr)
    return time.perf_counter() - started


def report(name: str, pairs: list[tuple[float, float]], more: list[float], unit: str) -> float:
    """Print what a pair's first is more than its second, and return the median of that."""
    tracked, bare = (statistics.median(taken) for taken in zip(*pairs, strict=True))
    low, high, confidence = interval(sorted(more))
    middle = statistics.median(more)
    print(
        f"{name}: {bare:.2f} s without tracking, {tracked:.2f} s with it; pair by pair "
        f"{middle:+.2f} {unit} ({100 * confidence:.0f} % interval {low:+.2f} to {high:+.2f})"
    )
    return middle


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


def log_alone(folder: Path) -> None:
    """Log a finished run's numbers, files and samples to MLflow in this process."""
    from experiments.tracking import notes, worker

    worker.prepare()
    note = notes.read(folder)
    assert note is not None
    new = replace(note.new, uri="sqlite:///mlruns/mlflow.db", experiment="alone")
    worker.bring(replace(note, new=new, key="alone", run_id="", status="FINISHED"), seconds=0.0)


if __name__ == "__main__":
    sys.exit(main())
