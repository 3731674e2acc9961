"""What a run tells MLflow."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any, Self

from experiments import store
from experiments.errors import masked, without
from experiments.experiment.planning import Plan
from experiments.experiment.sweep import origin
from experiments.records import CHOICES, RunReport
from experiments.schema import Config, dotted
from experiments.store import runs
from experiments.tracking import logs
from experiments.tracking.recorder import NewRun, Recorder, Status
from experiments.tracking.traces import Sample, log_samples

PATIENCE_SECONDS: dict[Status, float] = {"FINISHED": 5.0, "FAILED": 10.0, "KILLED": 1.0}
"""How long a run waits in silence for what MLflow has not got yet. One that failed or was
interrupted goes its way then, and what is left is logged without it."""

log = logging.getLogger(__name__)


class TrackedRun:
    """A run in MLflow, which begins and ends with this context; nothing if tracking is off."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._recorder: Recorder | None = None

    def __enter__(self) -> Self:
        plan, tracking = self._plan, self._plan.settings.tracking
        if tracking.enabled:
            name = " · ".join(plan.labels[label] for label in CHOICES if plan.labels[label])
            where = (tracking.uri, tracking.artifacts, tracking.experiment)
            self._recorder = Recorder(NewRun(*where, name, plan.parent, _tags(plan)))
            self._recorder.log(logs.log_parameters, _shown(plan))
            data = plan.dataset
            self._recorder.log(logs.log_dataset, data.name, data.digest, len(data.problems))
        return self

    def progress(self, generations: int, new_tokens: int, seconds: float) -> None:
        """Log how far generating is.

        Raises:
            TrackingError: the run could not begin in MLflow.
        """
        if self._recorder is not None:
            numbers = {
                "progress/generations": float(generations),
                "progress/tokens_per_second": new_tokens / max(seconds, 1e-9),
            }
            self._recorder.progress(generations, numbers)

    def results(self, report: RunReport, samples: Iterable[Sample]) -> None:
        """Log what came out: numbers, a description, files, and each sample as a trace.

        That ends the run in MLflow, whatever becomes of this context.
        """
        if self._recorder is None:
            return
        self._recorder.log(logs.log_metrics, report.metrics)
        self._recorder.log(logs.describe, _description(report))
        self._recorder.log(logs.log_folder, self._plan.folder)
        if self._plan.settings.tracking.traces:
            self._recorder.log(log_samples, list(samples))
        self._recorder.end("FINISHED")

    def __exit__(self, kind: type[BaseException] | None, error: object, *_: object) -> None:
        if self._recorder is None:
            return
        status: Status = "FINISHED"
        if kind is not None:
            status = "FAILED" if issubclass(kind, Exception) else "KILLED"
        self._recorder.end(status)
        try:
            if not self._recorder.wait(PATIENCE_SECONDS[status]) and kind is None:
                log.info("MLflow is still being written to. Ctrl-C leaves it to go on by itself.")
                self._recorder.wait()
            if kind is None:
                where = asdict(self._recorder.started())
                store.write_text(self._plan.folder / runs.TRACKED, json.dumps(where) + "\n")
        except Exception as failure:
            if failure is not error:  # else it is told already
                log.warning("warning: %s", masked(str(failure)))


def _shown(plan: Plan) -> dict[str, Any]:
    """Return the settings of a run under dotted names, as they may be read by others."""
    settings: dict[str, Any] = without(dict(dotted(_plain(plan.settings))), plan.hidden)
    return settings


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
    result = f"**pass@1 {100 * rate:.1f} %** (95 % interval {low:.0f} to {high:.0f})"
    return f"{result}\n\n{report.note}".rstrip()


def _plain(settings: Config) -> dict[str, Any]:
    """Return the configuration as plain data, enumerations by their values."""
    from omegaconf import OmegaConf

    plain = OmegaConf.to_container(OmegaConf.structured(settings), enum_to_str=True)
    assert isinstance(plain, dict)
    return {str(key): value for key, value in plain.items()}
