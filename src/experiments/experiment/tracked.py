"""What a run tells MLflow."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from experiments.experiment.planning import Plan
from experiments.experiment.sweep import origin
from experiments.records import CHOICES, RunReport
from experiments.schema import Config, dotted
from experiments.tracking.client import Status
from experiments.tracking.live import Beginning, Live

PATIENCE_SECONDS: dict[Status, float] = {"FAILED": 10.0, "KILLED": 1.0}
"""How long a run that failed or was interrupted waits for what MLflow has not got yet."""


@contextmanager
def tracked(plan: Plan) -> Iterator[Live | None]:
    """Begin the MLflow run, yield what logs to it in the background, and end it as it went."""
    tracking = plan.settings.tracking
    if not tracking.enabled:
        yield None
        return
    name = " · ".join(plan.labels[label] for label in CHOICES if plan.labels[label])
    where = (tracking.uri, tracking.artifacts, tracking.experiment)
    live = Live(Beginning(*where, name, plan.parent, _tags(plan), tracking.traces))
    live.parameters(dict(dotted(_plain(plan.settings))))
    live.dataset(plan.dataset)
    try:
        yield live
    except BaseException as error:
        status: Status = "FAILED" if isinstance(error, Exception) else "KILLED"
        live.close(status, PATIENCE_SECONDS[status])
        raise
    live.close("FINISHED")


def log_results(plan: Plan, live: Live | None, report: RunReport) -> None:
    """Hand over what came out to be logged while the caller goes on."""
    if live is not None:
        live.results(report.metrics, plan.folder, _description(report))


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
