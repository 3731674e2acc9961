"""The MLflow run that is the parent of a sweep's jobs."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from experiments.environment.provenance import provenance
from experiments.errors import TrackingError, masked
from experiments.schema import TrackingConfig
from experiments.store import claims
from experiments.tracking import notes
from experiments.tracking.notes import NewRun
from experiments.tracking.opening import absolute, address
from experiments.tracking.recorder import Recorder


class Sweep:
    """A sweep that goes on: its folder is held, and its run is open in MLflow.

    Args:
        folder: of the sweep; exists.
        request: digest of what was asked for; of the same, the run in MLflow goes on.
    """

    def __init__(self, folder: Path, request: str) -> None:
        self.folder = folder
        self._request = request
        self._recorder: Recorder | None = None
        self._has_failed = False
        self._held = ExitStack()
        self._claim = self._held.enter_context(claims.claimed(folder))

    def track(self, tracking: TrackingConfig, overrides: Sequence[str]) -> None:
        """Begin the sweep's run in MLflow, or go on with it, before its jobs do.

        Raises:
            TrackingError: the database or the server cannot be used; what can be logged later,
                is, when the sweep ends.
        """
        if not tracking.enabled:
            return
        said = masked(" ".join(overrides))
        self._recorder = Recorder(
            NewRun(
                absolute(address(tracking.uri)),
                tracking.artifacts,
                tracking.experiment,
                name=f"sweep · {said}"[:250],
                tags={
                    "overrides": said,
                    "kind": "sweep",
                    **origin(),
                    "run_folder": str(self.folder),
                },
                system_metrics=False,
                identity=self._request,
                folder=self.folder,
            ),
            self._claim,
        )
        try:
            self._recorder.started()
        except TrackingError:
            self._has_failed = True
            raise

    def close(self, failed: bool, summary: str = "") -> None:
        """Have the report logged to the sweep's run, end it, and let the folder go.

        Raises:
            TrackingError: the database or the server cannot be used, and `track` did not say so.
        """
        try:
            if self._recorder is not None:
                self._recorder.end("FAILED" if failed else "FINISHED", summary)
                self._recorder.wait()
        except TrackingError:
            if not self._has_failed:
                raise
        finally:
            self._held.close()


def read_sweep(folder: Path | None) -> str | None:
    """Return the MLflow run of the sweep that is kept in a folder, if it has one."""
    note = notes.read(folder) if folder is not None else None
    return note.run_id or None if note is not None else None


def origin() -> dict[str, str]:
    """Return the tags that say which code made an MLflow run, and on which machine."""
    source, machine = provenance()["source"], provenance()["machine"]
    return {
        "machine": f"{machine['processor']}, {machine['cores']} cores, {machine['system']}",
        "host": socket.gethostname(),
        "mlflow.source.name": "run.py",
        "mlflow.source.git.commit": source["git_commit"] or "",
    }
