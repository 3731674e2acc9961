"""Runs that MLflow lacks in part, brought there.

    python -m experiments.tracking.syncing URI FOLDER…

Called by `experiments sync`, and by the next command for runs whose processes were killed.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from enum import Enum
from pathlib import Path
from shlex import quote
from urllib.parse import urlsplit

from experiments.environment.machine import is_here
from experiments.errors import TrackingError, UserError
from experiments.store import claims
from experiments.tracking import notes, worker
from experiments.tracking.opening import (
    absolute,
    database_file,
    require_database,
    with_password,
    without_password,
)

PASSWORDS = (
    *("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN"),
    "PGPASSWORD",
)
"""Variables of the environment that whatever server MLflow is to use is told."""


class Synced(Enum):
    """What became of a run that was to be brought to MLflow."""

    BROUGHT = "brought to MLflow"
    THERE = "there already"
    ENDED = "ended in MLflow, without a result"
    GOES_ON = "going on"
    UNTRACKED = "not to be tracked"
    UNFINISHED = "without a result, and not in MLflow"


def sync(folder: Path, uri: str | None = None) -> Synced:
    """Bring to MLflow what it lacks of a run or a sweep; what it has, it has but once.

    Args:
        folder: of the run or the sweep.
        uri: of MLflow, if it is not where the folder says.

    Raises:
        TrackingError: MLflow cannot be used.
        StoreError: a file of the folder cannot be read.
    """
    note = notes.read(folder)
    if note is None:
        return Synced.UNTRACKED
    is_typed = bool(uri)
    uri = absolute(uri or with_password(note.new.uri))
    if note.is_complete and without_password(uri) == note.new.uri:
        return Synced.THERE
    if not is_typed:
        _check_told(uri, folder)
    try:
        with claims.claimed(folder, waits=False):
            note = notes.read(folder) or note
            status = notes.outcome(folder, note.status or "KILLED")
            if status == "KILLED" and not note.run_id:
                return Synced.UNFINISHED
            new = replace(note.new, uri=uri, parent=_parent(folder, note))
            if note.run_id and without_password(uri) == note.new.uri:
                require_database(new.uri)
            worker.bring(replace(note, new=new, status=status), seconds=0.0)
            return Synced.BROUGHT if status == "FINISHED" else Synced.ENDED
    except claims.Busy:
        return Synced.GOES_ON


def _check_told(uri: str, folder: Path) -> None:
    """Hold that the address in a folder, which anybody may have sent, is told no password.

    Raises:
        TrackingError: it would be.
    """
    host = urlsplit(uri).hostname or ""
    known = is_here(host) or uri == os.environ.get("MLFLOW_TRACKING_URI")
    if known or database_file(uri) or not any(map(os.environ.get, PASSWORDS)):
        return
    raise TrackingError(
        f"{folder} says {uri}, which would be told MLflow's password of your environment",
        f"If you know it, type: experiments sync {quote(str(folder))} --uri {quote(uri)}",
    )


def sync_apart(folders: Sequence[Path], uri: str) -> None:
    """Do the same for some, in a process of its own, so that MLflow is not imported here.

    Raises:
        TrackingError: MLflow still lacks something.
    """
    command = [sys.executable, "-P", "-m", "experiments.tracking.syncing", uri, *map(str, folders)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = done.stderr.strip().splitlines()
        raise TrackingError(said[-1] if said else f"MLflow lacks a part of {folders[0]}")


def _parent(folder: Path, note: notes.Note) -> str | None:
    """Return the id of the sweep's run, which a job may have begun before."""
    sweep = notes.read(folder.parent)
    return sweep.run_id or None if sweep is not None else note.new.parent


def main(arguments: Sequence[str]) -> int:
    """Bring runs to MLflow; why one is not there goes to standard error, in a line."""
    worker.prepare()
    uri, *folders = arguments
    code = 0
    for folder in folders:
        try:
            sync(Path(folder), uri)
        except UserError as error:
            print(error, file=sys.stderr)
            code = 1
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
