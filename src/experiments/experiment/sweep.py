"""The MLflow run that is the parent of a sweep's jobs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from experiments import store
from experiments.environment.provenance import provenance
from experiments.errors import masked
from experiments.schema import TrackingConfig
from experiments.store import runs
from experiments.tracking import logs
from experiments.tracking.recorder import NewRun, Recorder

_open: dict[Path, Recorder] = {}
"""The sweeps of this process that go on, by their folders."""


def open_sweep(tracking: TrackingConfig, folder: Path, overrides: Sequence[str]) -> None:
    """Begin the MLflow run that is the parent of a sweep's jobs, and note its id.

    Raises:
        UserError: the folder or the tracking server cannot be used.
    """
    if not tracking.enabled:
        return
    said = masked(" ".join(overrides))
    tags = {"overrides": said, "kind": "sweep", **origin()}
    where = (tracking.uri, tracking.artifacts, tracking.experiment)
    recorder = Recorder(NewRun(*where, f"sweep · {said}"[:250], tags=tags, system_metrics=False))
    started = recorder.started()
    recorder.log(logs.keep_view)
    folder.mkdir(parents=True, exist_ok=True)
    kept = {"mlflow_run": started.run_id, "mlflow_experiment": started.experiment_id}
    store.write_text(folder / runs.SWEEP, json.dumps(kept))
    _open[folder] = recorder


def close_sweep(
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
    recorder = _open.pop(folder, None)
    if recorder is None:
        return
    recorder.log(logs.log_files, files)
    recorder.log(logs.log_files, figures, "figures")
    recorder.log(logs.describe, summary)
    recorder.end("FAILED" if failed else "FINISHED")
    recorder.wait()


def read_sweep(folder: Path | None) -> str | None:
    """Return the MLflow run of the sweep that is kept in a folder, if it has one."""
    if folder is None or not (note := folder / runs.SWEEP).exists():
        return None
    run_id = json.loads(note.read_text(encoding="utf-8"))["mlflow_run"]
    return str(run_id)


def origin() -> dict[str, str]:
    """Return the tags that say which code made an MLflow run, and on which machine."""
    source, machine = provenance()["source"], provenance()["machine"]
    return {
        "machine": f"{machine['processor']}, {machine['cores']} cores, {machine['system']}",
        "mlflow.source.name": "run.py",
        "mlflow.source.git.commit": source["git_commit"] or "",
    }
