"""What a run tells MLflow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from experiments.experiment.planning import CHOICES, Plan
from experiments.experiment.sweep import origin
from experiments.records import Generation, RunReport, Solution, Verdict
from experiments.schema import Config
from experiments.tracking import Answer, Live


@contextmanager
def tracked(plan: Plan) -> Iterator[Live | None]:
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


def log_results(
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


def _tags(plan: Plan) -> dict[str, str]:
    """Return what an MLflow run is found by, besides its parameters."""
    return {
        **plan.labels,
        "kind": "run",
        "overrides": " ".join(plan.overrides),
        **origin(),
        "run_folder": str(plan.folder),
    }


def _description(report: RunReport) -> str:
    """Return a run's main result as Markdown."""
    rate = report.metrics.get("pass_at_1/plus")
    if rate is None:
        return report.note
    low, high = (100 * report.metrics[f"pass_at_1/plus_{end}"] for end in ("low", "high"))
    told = f"**pass@1 {100 * rate:.1f} %** (95 % interval {low:.0f} to {high:.0f})"
    return f"{told}\n\n{report.note}".rstrip()


def _plain(settings: Config) -> dict[str, Any]:
    """Return the configuration as plain data, enumerations by their values."""
    from omegaconf import OmegaConf

    plain = OmegaConf.to_container(OmegaConf.structured(settings), enum_to_str=True)
    assert isinstance(plain, dict)
    return {str(key): value for key, value in plain.items()}
