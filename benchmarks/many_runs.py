"""Do the report and MLflow's table stay usable with the runs of a team: 200 runs of 164 problems?

    python benchmarks/many_runs.py                         writes the folders, makes the report
    python benchmarks/many_runs.py --uri sqlite            and logs all of them to MLflow, asks it
    python benchmarks/many_runs.py --uri http://…          the same with a server
    python benchmarks/many_runs.py --runs 20 --traces 2    does the script work?

No model runs: each folder holds what a run leaves, with answers of a usual length, right and wrong
by chance. 5 models, 5 levels, 4 prompts and 2 data sets make 200. Printed are the time of the
clock, the time of the processor (which a busy machine does not change) and the most memory.
"""

from __future__ import annotations

import argparse
import itertools
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MODELS, LEVELS = ("m1", "m2", "m3", "m4", "m5"), ("f16", "q8_0", "q6_k", "q4_k_m", "q2_k")
PROMPTS, DATASETS = ("plain", "cot", "few_shot", "cot_few_shot"), ("humaneval_plus", "another")
BITS = dict(zip(LEVELS, (16.0, 8.5, 6.6, 4.9, 3.4), strict=True))
MOST_SECONDS = 60.0
"""Of the processor, for a report of 200 runs: the bar."""


def main() -> int:
    """Write runs, and measure what reads them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--problems", type=int, default=164)
    parser.add_argument("--uri", help="of MLflow: an address, or sqlite for a database of its own")
    parser.add_argument("--traces", type=int, default=0, help="of each run that are logged")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        written = [
            write(folder / "runs" / str(number), number, choice, options.problems)
            for number, choice in enumerate(choices(options.runs))
        ]
        size = sum(file.stat().st_size for run in written for file in run.iterdir()) / 1e6
        print(f"{len(written)} runs of {options.problems} problems: {size:.0f} MB", flush=True)
        seconds = report(folder)
        if options.uri:
            uri = f"sqlite:///{folder}/mlflow.db" if options.uri == "sqlite" else options.uri
            track(uri, written, options.traces)
        return int(seconds > MOST_SECONDS)


def choices(count: int) -> list[tuple[str, ...]]:
    """Return the labels of so many runs."""
    return list(itertools.product(DATASETS, MODELS, LEVELS, PROMPTS))[:count]


def write(folder: Path, number: int, choice: tuple[str, ...], problems: int) -> Path:
    """Write the folder of a run, and return it."""
    from experiments.records import (
        Failure,
        FinishReason,
        Generation,
        Outcome,
        Problem,
        Solution,
        Verdict,
    )
    from experiments.stats.metrics import summarise
    from experiments.store import runs

    dataset, model, level, prompt = choice
    chance = random.Random(number)
    share = 0.2 + 0.1 * MODELS.index(model) + 0.02 * BITS[level] - 0.05 * PROMPTS.index(prompt)
    asked, generations, verdicts, solutions = [], [], [], []
    for index in range(problems):
        problem = Problem(
            f"{dataset}/{index}", "f", f"def f(x):\n    '''{'words ' * 60}'''\n", "", ((1,),),
            title=f"Problem {index}", difficulty=("easy", "medium", "hard")[index % 3],
        )  # fmt: skip
        lines = "\n".join(f"    y = x * {chance.randrange(999)} + {n}" for n in range(20))
        text = f"def f(x):\n{lines}\n    return y\n"
        good = chance.random() < share
        outcome = Outcome.PASSED if good else Outcome.WRONG_ANSWER
        failure = None if good else Failure("f(1)", "1", "2")
        asked.append(problem)
        generations.append(
            Generation(
                f"{number} {index}", problem.id, 0, f"```python\n{text}```", FinishReason.END_TOKEN,
                300, 200, 250, 0.1, 0.5, 20.0, wall_seconds=5.0, peak_megabytes=900.0,
            )
        )  # fmt: skip
        verdicts.append(
            Verdict(problem.id, 0, outcome, outcome, 10 if good else 3, 10, 0, 0, failure)
        )
        solutions.append(Solution(problem.id, 0, text, True, True))
    metrics = summarise(verdicts, solutions, generations, asked)
    metrics["cost/seconds_per_problem"] = 5.0 * BITS[level] / 8
    labels = {"model": model, "quantization": level, "prompt": prompt, "dataset": dataset}
    weights = {
        "file": f"{model}-{level}",
        "sha256": f"{model}{level}",
        "bits_per_weight": BITS[level],
    }
    folder.mkdir(parents=True)
    runs.write_run(
        folder,
        generations=generations,
        verdicts=verdicts,
        programs=solutions,
        problems=asked,
        manifest={
            "labels": labels,
            "overrides": [f"{key}={value}" for key, value in labels.items()],
            "dataset": {"name": dataset, "sha256": dataset, "problems": problems},
            "weights": weights,
        },
        metrics=metrics,
    )
    return folder


def report(folder: Path) -> float:
    """Measure `experiments report` as a person calls it; return its seconds of the processor."""
    call = "import sys; from experiments.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", call, "report", "runs"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run(command, cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    _print("experiments report", time.monotonic() - started, used, after.ru_maxrss / 1e3)
    for page in sorted(folder.rglob("report*.*")):
        print(f"  {page.name}: {page.stat().st_size / 1e6:.1f} MB")
    return used


def track(uri: str, folders: list[Path], traces: int) -> None:
    """Log the runs to MLflow, then ask it what its table asks."""
    import mlflow
    from mlflow import MlflowClient

    from experiments.store import runs
    from experiments.tracking.opening import open_experiment

    experiment = open_experiment(uri, None, f"many-runs-{time.time():.0f}")
    mlflow.set_tracking_uri(uri)
    mlflow.set_experiment(experiment_id=experiment)
    client = MlflowClient(tracking_uri=uri)

    def log() -> None:
        for folder in folders:
            found = runs.read_report(folder)
            with mlflow.start_run(run_name=folder.name, tags={"kind": "run"}):
                mlflow.log_params({f"setting_{n}": n for n in range(85)} | dict(found.labels))
                mlflow.log_metrics(found.metrics)
                for number in range(traces):
                    with mlflow.start_span(f"sample {number}") as span:
                        span.set_inputs({"prompt": "words " * 200})
                        span.set_outputs({"text": "words " * 200})
        mlflow.flush_trace_async_logging()

    measured(f"logging {len(folders)} runs", log)
    best = ["metrics.`pass_at_1/plus` DESC"]
    pages: list[int] = []

    def table() -> None:
        token = None
        while True:
            page = client.search_runs(
                [experiment], "", order_by=best, max_results=100, page_token=token
            )
            pages.append(len(page))
            token = page.token
            if not token:
                return

    measured("the table, sorted by a score", table)
    measured(
        "the table of one model",
        lambda: client.search_runs([experiment], "params.model = 'm3'", order_by=best),
    )
    print(f"  runs in it: {sum(pages)}")


def measured(what: str, function: Callable[[], object]) -> None:
    """Print what a call takes in this process."""
    before, started = time.process_time(), time.monotonic()
    function()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    _print(what, time.monotonic() - started, time.process_time() - before, peak)


def _print(what: str, clock: float, processor: float, megabytes: float) -> None:
    print(
        f"{what:32} {clock:7.1f} s of the clock, {processor:6.1f} s of the processor, "
        f"{megabytes:5.0f} MB",
        flush=True,
    )


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT / "src"))
    sys.exit(main())
