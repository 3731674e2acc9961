"""The MLflow run that is the parent of a sweep's jobs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from experiments import store
from experiments.environment.provenance import provenance
from experiments.schema import TrackingConfig
from experiments.store import runs
from experiments.tracking.client import Tracker, open_tracker
from experiments.tracking.host import call


def open_sweep(tracking: TrackingConfig, folder: Path, overrides: Sequence[str]) -> None:
    """Begin the MLflow run that is the parent of a sweep's jobs, and note its id.

    Raises:
        UserError: the folder or the tracking server cannot be used.
    """
    tracker = _tracker_of(tracking)
    if tracker is None:
        return
    name = f"sweep · {' '.join(overrides)}"[:250]
    tags = {"overrides": " ".join(overrides), "kind": "sweep", **origin()}
    run_id = call(Tracker.start, tracker, name, tags=tags)
    call(Tracker.keep_view, tracker, run_id)
    folder.mkdir(parents=True, exist_ok=True)
    kept = {"mlflow_run": run_id, "mlflow_experiment": tracker.experiment_id}
    store.write_text(folder / runs.SWEEP, json.dumps(kept))


def close_sweep(
    tracking: TrackingConfig,
    folder: Path,
    failed: bool,
    summary: str = "",
    files: Sequence[Path] = (),
    figures: Sequence[Path] = (),
) -> None:
    """Add the report to the sweep's MLflow run, if it has one, and end it.

    Raises:
        TrackingError: the database or the server cannot be used.
    """
    run_id = read_sweep(folder)
    if run_id is None:
        return
    tracker = _tracker_of(tracking)
    if tracker is not None:
        call(Tracker.log_files, tracker, run_id, files)
        call(Tracker.log_files, tracker, run_id, figures, "figures")
        call(Tracker.describe, tracker, run_id, summary)
        call(Tracker.finish, tracker, run_id, "FAILED" if failed else "FINISHED")


def read_sweep(folder: Path | None) -> str | None:
    """Return the MLflow run of the sweep that is kept in a folder, if it has one."""
    if folder is None or not (note := folder / runs.SWEEP).exists():
        return None
    run_id = json.loads(note.read_text(encoding="utf-8"))["mlflow_run"]
    return str(run_id)


def _tracker_of(tracking: TrackingConfig) -> Tracker | None:
    """Return what logs to MLflow; None if tracking is off."""
    if not tracking.enabled:
        return None
    return call(open_tracker, tracking.uri, tracking.artifacts, tracking.experiment)


def origin() -> dict[str, str]:
    """Return the tags that say which code made an MLflow run, and on which machine."""
    source, machine = provenance()["source"], provenance()["machine"]
    return {
        "machine": f"{machine['processor']}, {machine['cores']} cores, {machine['system']}",
        "mlflow.source.name": "run.py",
        "mlflow.source.git.commit": source["git_commit"] or "",
    }
