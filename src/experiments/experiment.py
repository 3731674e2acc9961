"""One run, told in a dozen lines, without Hydra.

`plan` does everything that can fail by a user's mistake, before a model is loaded; `run`
generates, judges, sums up and tracks. Results are written as they come, so that a run that
was cut short goes on where it stopped.
"""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from experiments import judge, store
from experiments.backends import Backend
from experiments.errors import BackendError, ConfigError
from experiments.extract import extract
from experiments.metrics import summarise
from experiments.prompts import Kind, render
from experiments.provenance import provenance
from experiments.records import (
    Dataset,
    FinishReason,
    Generation,
    Problem,
    Request,
    RunReport,
    Sampling,
    Solution,
    Verdict,
    Weights,
)
from experiments.sandbox import missing
from experiments.schema import Config, SandboxConfig, TrackingConfig
from experiments.terminal import bar
from experiments.tracking import Answer, Live, Tracker, open_tracker
from experiments.weights import audit, locate

log = logging.getLogger(__name__)

CHOICES = ("model", "quantization", "prompt", "dataset")
"""The labels that every run has, in the order of its name."""


@dataclass(frozen=True)
class Plan:
    """A run that is ready to start: every part is there and was checked.

    Attributes:
        settings: the resolved configuration.
        requests: one per generation, in the order of problems and samples.
        labels: what tells this run from its siblings.
        parent: id of the sweep's MLflow run.
        overrides: what was said on the command line.
    """

    settings: Config
    dataset: Dataset
    kind: Kind
    weights: Weights | None
    backend: Backend
    sampling: Sampling
    requests: Sequence[Request]
    tracker: Tracker | None
    folder: Path
    labels: dict[str, str]
    parent: str | None
    overrides: Sequence[str]

    @cached_property
    def problems(self) -> dict[str, Problem]:
        """The problems by their ids."""
        return {problem.id: problem for problem in self.dataset.problems}


def run(plan: Plan) -> RunReport:
    """Generate, judge, sum up, track; return the numbers.

    Raises:
        UserError: what went wrong, in one line. All that was made until then is kept.
    """
    with _tracked(plan) as live:
        generations, seconds = _generate(plan, live)
        solutions = [_solution(plan, generation) for generation in generations]
        verdicts, second_looks = _judge(plan, solutions)
        metrics = summarise(
            verdicts,
            solutions,
            generations,
            plan.dataset.problems,
            generating_seconds=seconds,
        )
        engine = {f"engine/{name}": n for name, n in plan.backend.statistics().items()}
        report = RunReport(
            {**metrics, **second_looks, **engine},
            plan.folder,
            plan.labels,
            plan.settings.model.note,
        )
        _write(plan, report, generations, solutions, verdicts)
        _log_results(plan, live, report, generations, solutions, verdicts)
    return report


def plan(
    settings: Config,
    make_dataset: Callable[[], Dataset],
    make_backend: Callable[..., Backend],
    folder: Path,
    *,
    needs_weights: bool,
    overrides: Sequence[str] = (),
    sweep_folder: Path | None = None,
) -> Plan:
    """Return a run that is ready to start.

    Args:
        settings: the resolved configuration.
        make_dataset: loads the data set.
        make_backend: makes the backend, given `weights`.
        folder: of this run; exists.
        needs_weights: the backend runs a GGUF of this disk.
        overrides: what was said on the command line.
        sweep_folder: of the sweep that this run belongs to.

    Raises:
        UserError: a mistake in the configuration, the problems or the weights.
    """
    _check(settings)
    dataset = _limited(make_dataset(), settings.limit)
    weights = None
    if needs_weights:
        weights = locate(settings.model, settings.quantization, Path(settings.models))
    backend = make_backend(weights=weights)
    kind = _kind(settings, weights)
    sampling = Sampling(**asdict(settings.sampling), seed=settings.seed)
    prompts = [render(settings.prompt, problem, kind) for problem in dataset.problems]
    return Plan(
        settings=settings,
        dataset=dataset,
        kind=kind,
        weights=weights,
        backend=backend,
        sampling=sampling,
        requests=backend.prepare(prompts, sampling),
        tracker=_tracker(settings.tracking),
        folder=folder,
        labels=_labels(settings, weights, dataset, overrides),
        parent=_read_sweep(sweep_folder),
        overrides=overrides,
    )


def open_sweep(tracking: TrackingConfig, folder: Path, overrides: Sequence[str]) -> None:
    """Begin the MLflow run that is the parent of a sweep's jobs, and note its id.

    Raises:
        UserError: the folder or the tracking server cannot be used.
    """
    tracker = _tracker(tracking)
    if tracker is None:
        return
    name = f"sweep · {' '.join(overrides)}"[:250]
    run_id = tracker.start(name, tags={"overrides": " ".join(overrides), "kind": "sweep"})
    folder.mkdir(parents=True, exist_ok=True)
    _write_json(folder / _SWEEP_FILE, {"mlflow_run": run_id})


def close_sweep(
    tracking: TrackingConfig,
    folder: Path,
    failed: bool,
    summary: str = "",
    files: Sequence[Path] = (),
    figures: Sequence[Path] = (),
) -> None:
    """Add the report to the sweep's MLflow run, and end it."""
    tracker = _tracker(tracking)
    run_id = _read_sweep(folder)
    if tracker is not None and run_id is not None:
        tracker.log_files(run_id, files)
        tracker.log_files(run_id, figures, "figures")
        tracker.describe(run_id, summary)
        tracker.finish(run_id, succeeded=not failed)


_SWEEP_FILE = "sweep.json"


@contextmanager
def _tracked(plan: Plan) -> Iterator[Live | None]:
    """Begin the MLflow run, yield what logs to it in the background, and end it as it went."""
    if plan.tracker is None:
        yield None
        return
    tracker = plan.tracker
    name = " · ".join(plan.labels[label] for label in CHOICES if plan.labels[label])
    run_id = tracker.start(name, plan.parent, _tags(plan))
    succeeded = False
    try:
        with tracker.live(run_id) as live:
            live.parameters(_plain(plan.settings))
            live.dataset(plan.dataset)
            yield live
        succeeded = True
    finally:
        tracker.finish(run_id, succeeded)


def _tags(plan: Plan) -> dict[str, str]:
    """Return what an MLflow run is found by, besides its parameters."""
    source, machine = provenance()["source"], provenance()["machine"]
    return {
        **plan.labels,
        "kind": "run",
        "overrides": " ".join(plan.overrides),
        "machine": f"{machine['processor']}, {machine['cores']} cores, {machine['system']}",
        "mlflow.source.name": "run.py",
        "mlflow.source.git.commit": source["git_commit"] or "",
        "run_folder": str(plan.folder),
    }


def _log_results(
    plan: Plan,
    live: Live | None,
    report: RunReport,
    generations: Sequence[Generation],
    solutions: Sequence[Solution],
    verdicts: Sequence[Verdict],
) -> None:
    """Hand over what came out to be logged while the caller goes on."""
    if live is None:
        return
    answers: list[Answer] = []
    if plan.settings.tracking.traces:
        prompts = [request.prompt for request in plan.requests]
        answers = list(map(Answer, prompts, generations, solutions, verdicts))
    live.results(report.metrics, plan.folder, answers, _description(report))


def _description(report: RunReport) -> str:
    """Return a run's main result as Markdown."""
    rate = report.metrics.get("pass_at_1/plus")
    if rate is None:
        return report.note
    low, high = (100 * report.metrics[f"pass_at_1/plus_{end}"] for end in ("low", "high"))
    told = f"**pass@1 {100 * rate:.1f} %** (95 % interval {low:.0f} to {high:.0f})"
    return f"{told}\n\n{report.note}".rstrip()


def _generate(plan: Plan, live: Live | None) -> tuple[list[Generation], float]:
    """Return the generations in the order of the requests, and the seconds that they took.

    Those at hand are not made again. Loading the model is not counted.
    """
    started = time.monotonic()
    kept = store.GenerationStore(Path(plan.settings.store), plan.settings.cache.value)
    found = kept.find({request.key for request in plan.requests})
    missing = list({r.key: r for r in plan.requests if r.key not in found}.values())
    with (
        store.appending(plan.folder / "generations.jsonl") as append,
        bar("Generating", len(plan.requests), len(plan.requests) - len(missing)) as progress,
    ):
        for generation in plan.backend.generate(missing, plan.sampling, progress.remark):
            kept.append(generation)
            append(generation)
            found[generation.key] = generation
            progress.advance()
            if live is not None:
                live.step(len(found), _progress(found, started))
    _tell_unfit(list(found.values()))
    seconds = time.monotonic() - started - plan.backend.statistics().get("load_seconds", 0.0)
    # Equal requests share a generation (greedy samples, or the same prompt in another data set).
    generations = [
        replace(found[request.key], problem_id=request.problem_id, sample=request.sample)
        for request in plan.requests
    ]
    return generations, seconds


def _tell_unfit(generations: Sequence[Generation]) -> None:
    """Say which prompts the context had no room for: their problems count as failed.

    Raises:
        BackendError: no prompt fitted, so there is nothing to judge.
    """
    unfit = [each for each in generations if each.finish_reason is FinishReason.PROMPT_TOO_LONG]
    if not unfit:
        return
    first = unfit[0]
    if len(unfit) == len(generations):
        raise BackendError(
            f"None of the {len(unfit)} prompts fits. {first.problem_id}: {first.note}"
        )
    log.warning(
        "%d of %d prompts do not fit, and their problems count as failed. %s: %s",
        len(unfit),
        len(generations),
        first.problem_id,
        first.note,
    )


def _progress(found: dict[str, Generation], started: float) -> dict[str, float]:
    """Return numbers that show how a long run goes."""
    made = [generation for generation in found.values() if not generation.cached]
    seconds = max(time.monotonic() - started, 1e-9)
    return {
        "progress/generations": float(len(found)),
        "progress/tokens_per_second": sum(each.new_tokens for each in made) / seconds,
    }


def _solution(plan: Plan, generation: Generation) -> Solution:
    """Return the program in a generation."""
    problem = plan.problems[generation.problem_id]
    found = extract(generation.text, problem.prompt, problem.entry_point, plan.kind)
    return Solution(
        problem.id, generation.sample, found.program, found.format_kept, found.syntax_valid
    )


def _judge(plan: Plan, solutions: Sequence[Solution]) -> tuple[list[Verdict], dict[str, float]]:
    """Return the verdicts in the order of the solutions, and how many got a second look."""
    verdicts = {}
    with (
        store.appending(plan.folder / "verdicts.jsonl") as append,
        bar("Judging", len(solutions)) as progress,
    ):
        cache = Path(plan.settings.store).parent / "cache"
        judging = judge.judge(solutions, plan.dataset, _judge_settings(plan.settings), cache)
        if gaps := missing(judging.isolation):
            log.warning(gaps)
        for verdict in judging:
            append(verdict)
            verdicts[verdict.problem_id, verdict.sample] = verdict
            progress.advance()
    second_looks = {
        "count/judged_again": float(judging.retried),
        "count/changed_when_judged_again": float(judging.changed),
    }
    ordered = [verdicts[solution.problem_id, solution.sample] for solution in solutions]
    return ordered, second_looks


def _write(
    plan: Plan,
    report: RunReport,
    generations: Sequence[Generation],
    solutions: Sequence[Solution],
    verdicts: Sequence[Verdict],
) -> None:
    """Write the run's files, in the order of the problems; `metrics.json` comes last."""
    folder = plan.folder
    store.write_records(folder / "generations.jsonl", generations)
    store.write_records(folder / "verdicts.jsonl", verdicts)
    _write_lines(folder / "problems.jsonl", map(_described, plan.dataset.problems))
    _write_lines(folder / "samples.jsonl", map(_sample, solutions))
    _write_json(folder / "manifest.json", _manifest(plan, verdicts))
    if plan.requests:
        prompt = audit(plan.requests[0], plan.weights, plan.backend.describe())
        _write_json(folder / "audit.json", prompt)
    finite = {name: value for name, value in report.metrics.items() if math.isfinite(value)}
    _write_json(folder / "metrics.json", finite)


def _described(problem: Problem) -> dict[str, Any]:
    """Return what a report shows of a problem, without its tests and its answer."""
    shown = ("id", "title", "difficulty", "topics", "entry_point", "prompt")
    return {name: getattr(problem, name) for name in shown}


def _sample(solution: Solution) -> dict[str, Any]:
    """Return a solution in the form of EvalPlus, which ignores what it does not know."""
    return {
        "task_id": solution.problem_id,
        "solution": solution.program,
        "sample": solution.sample,
        "format_kept": solution.format_kept,
        "syntax_valid": solution.syntax_valid,
    }


def _write_lines(path: Path, lines: Iterable[dict[str, Any]]) -> None:
    store.write_text(path, "".join(f"{json.dumps(line)}\n" for line in lines))


def _write_json(path: Path, data: dict[str, Any]) -> None:
    store.write_text(path, json.dumps(data, indent=2, ensure_ascii=False) + "\n")


def _manifest(plan: Plan, verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """Return all that is needed to repeat the run."""
    weights = plan.weights
    return {
        "labels": plan.labels,
        "note": plan.settings.model.note,
        "overrides": list(plan.overrides),
        "seed": plan.settings.seed,
        "dataset": {
            "name": plan.dataset.name,
            "sha256": plan.dataset.digest,
            "problems": len(plan.dataset.problems),
        },
        "weights": None
        if weights is None
        else {
            "file": weights.path.name,
            "sha256": weights.sha256,
            "bytes": weights.bytes,
            "bits_per_weight": weights.bits_per_weight,
            "parameters": weights.parameters,
            "chat_template": weights.template_source,
        },
        "prompt_kind": plan.kind,
        "backend": plan.backend.describe(),
        "isolation": sorted({verdict.isolation for verdict in verdicts}),
        **provenance(),
    }


def _check(settings: Config) -> None:
    """Say at once what no schema can say.

    Raises:
        ConfigError: a number is out of range.
    """
    lowest = {
        "limit": (settings.limit, 1),
        "sampling.samples": (settings.sampling.samples, 1),
        "sampling.max_tokens": (settings.sampling.max_tokens, 1),
        "sampling.temperature": (settings.sampling.temperature, 0),
        "sampling.repeat_penalty": (settings.sampling.repeat_penalty, 0),
        "sampling.top_k": (settings.sampling.top_k, 0),
        "sandbox.workers": (settings.sandbox.workers, 1),
        "sandbox.processes": (settings.sandbox.processes, 0),
        "sandbox.memory_megabytes": (settings.sandbox.memory_megabytes, 64),
        "sandbox.output_megabytes": (settings.sandbox.output_megabytes, 1),
        "sandbox.file_megabytes": (settings.sandbox.file_megabytes, 0),
        "sandbox.minimum_cpu_seconds": (settings.sandbox.minimum_cpu_seconds, 0.01),
        "sandbox.reference_factor": (settings.sandbox.reference_factor, 1),
        "sandbox.wall_factor": (settings.sandbox.wall_factor, 1),
    }
    for key, (value, least) in lowest.items():
        if value is not None and value < least:
            raise ConfigError(f"{key}={value} is too small", f"The least is {least}.")
    for key in ("top_p", "min_p"):
        value = getattr(settings.sampling, key)
        if not 0 <= value <= 1:
            raise ConfigError(f"sampling.{key}={value} is no probability", "Take 0 to 1.")


def _limited(dataset: Dataset, limit: int | None) -> Dataset:
    return replace(dataset, problems=dataset.problems[:limit])


def _kind(settings: Config, weights: Weights | None) -> Kind:
    """Return how prompts are put: as the configuration says, else as the GGUF does."""
    if settings.model.kind is not None:
        return settings.model.kind.value
    return "completion" if weights is not None and weights.chat_template is None else "chat"


def _labels(
    settings: Config, weights: Weights | None, dataset: Dataset, overrides: Sequence[str]
) -> dict[str, str]:
    """Return what tells this run from others: the four choices, and all that was overridden."""
    level = weights.quantization if weights else ""
    names = (settings.model.name, level, settings.prompt.name, dataset.name)
    chosen = dict(zip(CHOICES, names, strict=True))
    others = (override.lstrip("+").partition("=") for override in overrides)
    return chosen | {key: value for key, _, value in others if key not in chosen}


def _tracker(tracking: TrackingConfig) -> Tracker | None:
    if not tracking.enabled:
        return None
    return open_tracker(tracking.uri, tracking.artifacts, tracking.experiment)


def _judge_settings(settings: Config) -> judge.JudgeSettings:
    given = {field.name: getattr(settings.sandbox, field.name) for field in fields(SandboxConfig)}
    return judge.JudgeSettings(**{**given, "isolation": settings.sandbox.isolation.value})


def _read_sweep(folder: Path | None) -> str | None:
    """Return the MLflow run of the sweep that is kept in a folder, if it has one."""
    if folder is None or not (note := folder / _SWEEP_FILE).exists():
        return None
    run_id = json.loads(note.read_text(encoding="utf-8"))["mlflow_run"]
    return str(run_id)


def _plain(settings: Config) -> dict[str, Any]:
    """Return the configuration as plain data, enumerations by their values."""
    from omegaconf import OmegaConf

    plain = OmegaConf.to_container(OmegaConf.structured(settings), enum_to_str=True)
    assert isinstance(plain, dict)
    return {str(key): value for key, value in plain.items()}
