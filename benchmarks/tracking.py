"""What tracking adds to a run's wall time, in pairs of runs with it and without.

    python benchmarks/tracking.py large     60 problems, 256 tokens each, 1.1 B parameters
    python benchmarks/tracking.py demo      60 problems, the demo model

Each pair begins with the one and the other by turns. Printed are both medians, and the median of
the pairs' differences with its interval: where a machine's speed drifts, a pair has more of it in
common than two medians have. The database is there before; what its creation takes, once, is not
counted.

- large: a run of at least two minutes. The bar: less than 2 % longer. The run is made once, and
  timed, without tracking; the pairs take its generations from the store, since two runs of
  minutes differ by more than the bar even if both are the same. What is logged while a model
  generates counts here as if it came after it, so the figure is rather too high.
- demo: a run of seconds, without the store. Each pair is followed by a process that does nothing
  but import MLflow and log the same. The bar: tracking adds no more than that takes.

The large model is made by benchmarks/generation.py. Expect five minutes for each of the two on two
quiet cores. The exit code tells whether a bar was missed.
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
RUN = (
    str(ROOT / "run.py"),
    f"models={ROOT / 'models'}",
    f"dataset.folder={ROOT / 'problems'}",
    "rerun=all",
)


def main() -> int:
    """Measure one of the two, or one of their parts in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("large", "demo", "alone"))
    parser.add_argument("folder", nargs="?", type=Path, help="of a run, with `alone`")
    parser.add_argument("--repeats", type=int, default=11, help="pairs")
    parser.add_argument("--limit", type=int, default=60, help="problems")
    parser.add_argument("--max-tokens", type=int, default=256, help="of the large model")
    options = parser.parse_args()
    if options.what == "alone":
        log_alone(options.folder)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        if options.what == "large":
            return large(Path(folder), options.repeats, options.limit, options.max_tokens)
        return demo(Path(folder), options.repeats, options.limit)


def large(folder: Path, repeats: int, limit: int, max_tokens: int) -> int:
    """Return whether a run of minutes is longer with tracking than it may be."""
    run = [
        "model=local",
        f"model.file={model(LARGE, 'q4_0')}",
        "model.kind=completion",
        f"prompt.completion='{prompt()}'",
        f"sampling.max_tokens={max_tokens}",
        "backend.stop_when_complete=false",
        f"limit={limit}",
    ]
    create_database(folder)
    whole = seconds(folder, [*RUN, *run, "tracking.enabled=false"])
    pairs = [pair(folder, [*run, "cache=read"], number) for number in range(repeats)]
    added = report("large, its generations from the store", pairs)
    percent = 100 * added / whole
    print(f"large: of the whole run, which takes {whole:.1f} s, {percent:+.2f} %")
    if whole < LEAST_SECONDS:
        print(f"A run of {whole:.0f} s is too short for the bar: more --max-tokens")
    return int(percent >= MOST_PERCENT or whole < LEAST_SECONDS)


def prompt() -> str:
    """Return a prompt of 300 tokens for each problem, of which 200 are shared."""
    shared = "".join(LETTERS[(n * 7 + n // 26) % 26] for n in range(SHARED_TOKENS - 1))
    return shared + f"{{{{ (problem.id * 50)[:{PROMPT_TOKENS - SHARED_TOKENS}] | upper }}}}"


def demo(folder: Path, repeats: int, limit: int) -> int:
    """Return whether tracking adds more to a run of seconds than MLflow's own calls take."""
    create_database(folder)
    pairs, alone = [], []
    for number in range(repeats):
        pairs.append(pair(folder, [f"limit={limit}", "cache=off"], number))
        tracked = [path.parent for path in folder.glob("outputs/*/*/tracking.json")]
        alone.append(seconds(folder, [__file__, "alone", str(max(tracked))]))
    added = report("demo", pairs)
    print(f"MLflow alone: {statistics.median(alone):.2f} s to be imported and to log the same")
    return int(added > statistics.median(alone))


def create_database(folder: Path) -> None:
    """Make what no run after it has to make."""
    seconds(folder, [*RUN, "backend=scripted", "limit=1", "cache=off"])


def pair(folder: Path, given: list[str], number: int) -> tuple[float, float]:
    """Return the seconds of a run with tracking and of one without, this one first if even."""
    taken = {}
    for enabled in ("true", "false") if number % 2 else ("false", "true"):
        taken[enabled] = seconds(folder, [*RUN, *given, f"tracking.enabled={enabled}"])
    print(f"  {taken['true']:.2f} s with, {taken['false']:.2f} s without", file=sys.stderr)
    return taken["true"], taken["false"]


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


def report(name: str, pairs: list[tuple[float, float]]) -> float:
    """Print how much longer a pair's first takes than its second, and return the median of that."""
    tracked, bare = (statistics.median(taken) for taken in zip(*pairs, strict=True))
    added = sorted(first - second for first, second in pairs)
    low, high, confidence = interval(added)
    print(
        f"{name}: {bare:.2f} s without tracking, {tracked:.2f} s with it; pair by pair "
        f"{statistics.median(added):+.2f} s "
        f"({100 * confidence:.0f} % interval {low:+.2f} to {high:+.2f})"
    )
    return statistics.median(added)


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
