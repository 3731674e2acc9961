"""What a run tells MLflow."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

from experiments.errors import TrackingAway, TrackingError, masked, without
from experiments.experiment.planning import Plan
from experiments.experiment.sweep import origin
from experiments.records import run_name
from experiments.schema import dotted
from experiments.tracking import notes, syncing
from experiments.tracking.notes import NewRun, Status
from experiments.tracking.opening import absolute, address
from experiments.tracking.recorder import Recorder

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
            data = plan.dataset
            new = NewRun(
                absolute(address(tracking.uri)),
                tracking.artifacts,
                tracking.experiment,
                name=run_name(plan.labels),
                parent=plan.parent,
                tags=_tags(plan),
                parameters=_shown(plan),
                dataset=(data.name, data.digest, len(data.problems)),
                traces=tracking.traces,
                identity=_identity(plan),
                folder=plan.folder,
            )
            self._recorder = Recorder(new, plan.claim)
            if plan.sweep_folder is None or plan.parent is not None:
                self._recorder.warn_if_away()  # else the sweep has said so
        return self

    def progress(self, generations: int, new_tokens: int, seconds: float) -> None:
        """Log how far generating is.

        Raises:
            TrackingError: the run could not begin in MLflow, and it is a user's mistake.
        """
        if self._recorder is not None:
            numbers = {
                "progress/generations": float(generations),
                "progress/tokens_per_second": new_tokens / max(seconds, 1e-9),
            }
            self._recorder.progress(generations, numbers)

    def results(self) -> None:
        """Have the folder of the run logged, which has all its results.

        That ends the run in MLflow, whatever becomes of this context.
        """
        if self._recorder is not None:
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
        except TrackingAway as away:
            if not self._recorder.has_warned and self._plan.sweep_folder is None:
                log.warning("warning: %s", away)
        except Exception as failure:
            if failure is not error:  # else it is told already
                log.warning("warning: %s", masked(str(failure)))


def _shown(plan: Plan) -> dict[str, Any]:
    """Return the settings of a run under dotted names, as they may be read by others."""
    from omegaconf import OmegaConf

    plain = OmegaConf.to_container(OmegaConf.structured(plan.settings), enum_to_str=True)
    assert isinstance(plain, dict)
    settings: dict[str, Any] = without(dict(dotted(plain)), plan.hidden)
    return settings


def catch_up(folder: Path, uri: str) -> None:
    """Bring to MLflow what it lacks of a complete run, if it lacks some."""
    note = notes.read(folder)
    if note is None or note.is_complete:
        return
    try:
        syncing.sync_apart([folder], uri)
    except TrackingError as error:
        log.warning("warning: %s", error)


def catch_up_again(folder: Path, uri: str) -> None:
    """Bring a complete run to MLflow whose folder has more than when it ended."""
    if (note := notes.read(folder)) is not None:
        notes.write(replace(note, is_complete=False))
        catch_up(folder, uri)


def _identity(plan: Plan) -> str:
    """Return a digest of all that decides a run's result; empty where that is not known."""
    if not plan.identity:
        return ""
    weights = plan.weights.sha256 if plan.weights is not None else ""
    return hashlib.sha256(f"{plan.identity} {plan.dataset.digest} {weights}".encode()).hexdigest()


def _tags(plan: Plan) -> dict[str, str]:
    """Return what an MLflow run is found by, besides its parameters."""
    return {
        **plan.labels,
        "kind": "run",
        "overrides": " ".join(plan.overrides),
        **origin(),
        "run_folder": str(plan.folder),
    }
