"""What a sweep past one machine takes: 20 models x 8 levels x 4 prompts x 4 data sets, simulated.

    python benchmarks/scale.py                          on 1, 8 and 64 machines
    python benchmarks/scale.py --traces 0 --link 1.25e9 --server-cores 8
    python benchmarks/scale.py --machines 16 --models 5

Nothing is run. Each job's time is worked out as `experiments plan` does it, from costs that were
measured on one machine of two cores and 24 GB (`COSTS`; docs/scale.md says how each was measured).
The machines of the simulation are that machine. What they share is a link to the folder of weights
and the server of MLflow: who comes while it is busy waits. Jobs begin in the sweep's order on the
machine that is free first.

The models are the twenty of conf/model/ that are nearest to having 0.5, 1, 1.5, … billion
parameters, all of them read for each token.
"""

from __future__ import annotations

import argparse
import heapq
import itertools
import sys
from dataclasses import dataclass
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "src"))

from experiments.backends.llama_cpp.memory import MARGIN, MOST_AT_ONCE  # noqa: E402
from experiments.experiment.estimating import USUAL_TOKENS, Cost, Job, modelled  # noqa: E402
from experiments.experiment.resources import BESIDE  # noqa: E402
from experiments.schema import BITS_PER_WEIGHT  # noqa: E402
from experiments.weights.workload import Workload, main_type  # noqa: E402

LEVELS = ("f16", "q8_0", "q6_k", "q5_k_m", "q4_k_m", "q4_0", "q3_k_m", "q2_k")
PROMPTS = {"plain": 300, "cot": 500, "few_shot": 2500, "cot_few_shot": 3000}
"""Bytes that all prompts of a strategy begin with, of the project's own templates."""
DATASETS = {"problems": (60, 900), "humaneval": (164, 451), "humaneval_plus": (164, 451),
            "mbpp_plus": (378, 158)}  # fmt: skip
"""Problems, and mean bytes of one. HumanEval and HumanEval+ ask the same, so the second of them
finds its generations in the store."""
SAME = {"humaneval_plus": "humaneval"}


@dataclass(frozen=True)
class Costs:
    """What was measured; seconds are of one core unless said otherwise.

    Attributes:
        types: seconds for one weight, of both cores: of a prompt's token, and of a step with 16
            sequences, by the type of the weights.
        attention: seconds for one number of the KV cache that a step reads, of both cores.
        start: of a job beside its model: processes, configuration, data set, files.
        plan: of each job when a sweep begins.
        judge: of one program.
        quantize: of one weight.
        run, trace: of the server, for one run and one trace.
        run_rows, trace_rows: in MLflow's database.
        trace_bytes: that the database grows by, the run's own part included.
        sample_bytes: in a run's folder and in the store, for one problem.
        report: of the report, for one run of 164 problems.
    """

    types: dict[str, tuple[float, float]]
    attention: float
    start: float
    plan: float
    judge: float
    quantize: float
    run: float
    trace: float
    run_rows: int
    trace_rows: int
    trace_bytes: float
    sample_bytes: float
    report: float


Q4_0 = (7.0e-12, 1.39e-10)
"""130 tokens/s of prompts, and 105 of answers with 16 at once, of 1.1 billion weights."""

COSTS = Costs(
    # Other levels were not measured: with 16 sequences at once arithmetic is the limit, and
    # levels differ in it by less than the twofold that an answer's length may be off.
    types=dict.fromkeys(("f16", "q8_0", "q6_k", "q5_k", "q4_k", "q4_0", "q3_k", "q2_k"), Q4_0),
    attention=2e-10,
    start=4.0,
    plan=0.34,
    judge=0.06,
    quantize=1.1e-7,
    run=1.14,
    trace=0.25,
    run_rows=344,
    trace_rows=21,
    trace_bytes=19_400,
    sample_bytes=4_000,
    report=0.32,
)


@dataclass(frozen=True)
class Task:
    """A job of the sweep.

    Attributes:
        file: name of its weights, and `size` their bytes.
        seconds: of generating and judging.
        memory: bytes that it takes.
        samples: that it judges and logs.
        quantizes: seconds of making the file, if it is the first to need it.
    """

    file: str
    size: float
    seconds: float
    memory: float
    samples: int
    quantizes: float


@dataclass
class Outcome:
    """What a simulation found, in seconds of the clock."""

    end: float = 0.0
    working: float = 0.0
    reading: float = 0.0
    logging: float = 0.0
    waiting_for_link: float = 0.0
    waiting_for_server: float = 0.0


def main() -> int:
    """Simulate and print."""
    options = _options()
    models = chosen(options.models)
    tasks = list(jobs(models, options))
    fitting = [task for task in tasks if task.memory <= options.memory]
    fetched = sum(2e9 * billions for _, billions, _ in models)
    made = sum({task.file: task.size for task in tasks}.values())
    samples = sum(task.samples for task in tasks)
    traces = samples if options.traces is None else min(samples, options.traces * len(tasks))
    rows = len(tasks) * COSTS.run_rows + traces * COSTS.trace_rows
    database = traces * COSTS.trace_bytes
    print(
        f"{len(tasks)} jobs, {samples} samples; {len(tasks) - len(fitting)} jobs do not fit into "
        f"{options.memory / 1e9:.0f} GB and are refused.\n"
        f"Weights: {fetched / 1e9:.0f} GB fetched, {made / 1e9:.0f} GB on disk with all levels. "
        f"Results: {samples * COSTS.sample_bytes / 1e9:.1f} GB.\n"
        f"MLflow: {len(tasks)} runs, {traces} traces, {rows / 1e6:.1f} million rows, "
        f"{database / 1e9:.1f} GB.\n"
        f"Before the first job: {len(tasks) * COSTS.plan / 60:.0f} min of planning. "
        f"The report: {len(tasks) * COSTS.report / 60:.0f} min.\n"
    )
    print("machines     days  working  link busy  server busy  waits: link  server  saturated")
    for count in options.machines:
        found = simulated(fitting, count, traces / samples, options)
        per_machine = found.end * count
        busy = {
            "the machines": found.working / per_machine,
            "the link": found.reading / found.end,
            "MLflow's server": found.logging / found.end / options.server_cores,
        }
        shares = [*busy.values(), found.waiting_for_link / per_machine]
        shares.append(found.waiting_for_server / per_machine)
        columns = zip(shares, (8, 10, 12, 12, 7), strict=True)
        cells = " ".join(f"{share:{width}.0%}" for share, width in columns)
        print(f"{count:8} {found.end / 86400:8.2f} {cells}  {max(busy, key=lambda n: busy[n])}")
    return 0


def chosen(count: int) -> list[tuple[str, float, int]]:
    """Return name, billions of parameters and KV values per token of so many models."""
    rows = []
    for path in sorted((ROOT / "conf" / "model").glob("*.yaml")):
        row = yaml.safe_load(path.read_text(encoding="utf-8"))
        if (row.get("parameters_billion") or 0) > 0.1 and not row.get("active_parameters_billion"):
            rows.append((path.stem, row["parameters_billion"], row.get("kv_values_per_token") or 0))
    found: list[tuple[str, float, int]] = []
    for step in range(1, count + 1):
        found.append(min(rows, key=lambda row: abs(row[1] - step / 2)))
        rows.remove(found[-1])
    return found


def jobs(models: list[tuple[str, float, int]], options: argparse.Namespace) -> list[Task]:
    """Return the jobs in the order of a sweep; those of one file follow each other."""
    found, known = [], set[str]()
    for name, billions, kv in models:
        weights = billions * 1e9
        for level in LEVELS:
            kind = main_type(level)
            prefill, step = COSTS.types[kind]
            cost = Cost(prefill, {1: step / 2, 16: step}, COSTS.attention)
            file, size = f"{name}-{level}", weights * BITS_PER_WEIGHT[level] / 8
            for prompt, shared in PROMPTS.items():
                for dataset, (problems, each) in DATASETS.items():
                    is_new = dataset not in SAME
                    asked = problems if is_new else 0
                    job = Job(
                        name, level, prompt, dataset, "", "", asked, asked * (shared + each),
                        shared, 1024, MOST_AT_ONCE, kv,
                    )  # fmt: skip
                    seconds = modelled(job, Workload({kind: weights}), {kind: cost}, []).value
                    seconds *= options.tokens / USUAL_TOKENS if asked else 1.0
                    tokens = (shared + each) / 3.5 + 1024
                    cache = kv * 2 * tokens * MOST_AT_ONCE
                    makes = file not in known and level != "f16"
                    known.add(file)
                    found.append(
                        Task(
                            file,
                            size if asked else 0.0,
                            COSTS.start + seconds + problems * COSTS.judge / 2,
                            size + cache + MARGIN + BESIDE,
                            problems,
                            weights * COSTS.quantize / 2 if makes else 0.0,
                        )
                    )
    return found


def simulated(
    tasks: list[Task], machines: int, traced: float, options: argparse.Namespace
) -> Outcome:
    """Run the jobs on machines that share a link and a server.

    Each machine goes through three stages with a job: it reads the weights, works, and logs. What
    is shared serves in the order of asking, so stages are taken up in the order of time.
    """
    found = Outcome()
    waiting = iter(tasks)
    last: dict[int, str] = {}
    link, server = 0.0, [0.0] * options.server_cores
    numbers = itertools.count()
    ahead: list[tuple[float, int, str, int, Task | None]] = []

    def push(time: float, stage: str, machine: int, task: Task | None = None) -> None:
        heapq.heappush(ahead, (time, next(numbers), stage, machine, task))

    for machine in range(machines):
        push(0.0, "read", machine)
    while ahead:
        now, _, stage, machine, task = heapq.heappop(ahead)
        found.end = max(found.end, now)
        if stage == "read":
            if (task := next(waiting, None)) is None:
                continue
            if task.size and last.get(machine) != task.file:  # else it is in memory still
                last[machine] = task.file
                begun = max(now, link)
                link = begun + task.size / options.link
                found.waiting_for_link += begun - now
                found.reading += link - begun
                now = link
            push(now, "work", machine, task)
            continue
        assert task is not None
        if stage == "work":
            worked = task.quantizes + task.seconds
            found.working += worked
            push(now + worked, "log", machine, task)
        else:
            logged = COSTS.run + task.samples * traced * COSTS.trace
            begun = max(now, heapq.heappop(server))
            heapq.heappush(server, begun + logged)
            found.waiting_for_server += begun - now
            found.logging += logged
            push(begun + logged, "read", machine)
    return found


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--machines", type=int, nargs="+", default=[1, 8, 64])
    parser.add_argument("--models", type=int, default=20)
    parser.add_argument("--tokens", type=float, default=USUAL_TOKENS, help="of an answer")
    parser.add_argument("--traces", type=int, help="of each run that are logged; all by default")
    parser.add_argument("--link", type=float, default=1.25e8, help="bytes per second to weights")
    parser.add_argument("--memory", type=float, default=24e9, help="bytes of a machine")
    parser.add_argument("--server-cores", type=int, default=2, help="of MLflow's server")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
