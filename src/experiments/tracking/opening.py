"""MLflow's database and its experiments: opened, created if new, and told apart when broken."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from experiments.errors import TrackingError

# Read by MLflow: no calls home, no bar for each file, no long wait for a dead server.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")

_WITHOUT = "or go without it: tracking.enabled=false"


def open_experiment(uri: str, artifacts: str | None, name: str) -> str:
    """Return the id of an MLflow experiment; creates database and experiment if new.

    Several processes may call this at once: a lock lets one of them create the database,
    since MLflow itself fails when several open a fresh one together.

    Args:
        uri: `sqlite:///FILE` or the address of a tracking server.
        artifacts: folder of the artifacts, for databases on this machine.
        name: of the MLflow experiment.

    Raises:
        TrackingError: the database or the server cannot be used.
    """
    database = database_file(uri)
    with explained(uri), _creation_lock(database):
        from mlflow import MlflowClient

        if database is not None:
            _create_or_probe(database)
        client = MlflowClient(tracking_uri=uri)
        found = client.get_experiment_by_name(name)
        if found is not None:
            return str(found.experiment_id)
        location = None
        if artifacts and "://" in artifacts:
            location = artifacts
        elif artifacts and database is not None:
            location = Path(artifacts).resolve().as_uri()
        return str(client.create_experiment(name, artifact_location=location))


def database_file(uri: str) -> Path | None:
    """Return the file of an SQLite database; None for a server."""
    prefix = "sqlite:///"
    return Path(uri.removeprefix(prefix)) if uri.startswith(prefix) else None


def require_database(uri: str) -> None:
    """Hold that a database on this disk is there: MLflow would make a new one.

    Raises:
        TrackingError: it is not.
    """
    database = database_file(uri)
    if database is not None and not database.exists():
        raise TrackingError(f"There is no MLflow database {database}", "Name another: --uri URI")


@contextmanager
def explained(uri: str) -> Iterator[None]:
    """Turn what goes wrong between here and MLflow into one line.

    Raises:
        TrackingError: with what to do next.
    """
    try:
        from mlflow import MlflowException
        from sqlalchemy.exc import SQLAlchemyError
    except ImportError as error:
        raise TrackingError(
            f"MLflow cannot be imported: {error}", f"Type: make install-run, {_WITHOUT}"
        ) from error
    try:
        yield
    except ModuleNotFoundError as error:
        raise TrackingError(
            f"MLflow at '{uri}' needs the package {error.name}, which is not installed",
            f"Type: .venv/bin/pip install {error.name}, {_WITHOUT}",
        ) from error
    except (MlflowException, SQLAlchemyError, OSError, ImportError) as error:
        first_line = (str(error).splitlines() or [type(error).__name__])[0]
        raise TrackingError(
            f"MLflow at '{uri}' cannot be used: {first_line}",
            f"Results are in the run's folder. Check tracking.uri, {_WITHOUT}",
        ) from error


@contextmanager
def _creation_lock(database: Path | None) -> Iterator[None]:
    """Let one process at a time open a database file on this machine."""
    if database is None:
        yield
        return
    database.parent.mkdir(parents=True, exist_ok=True)
    with database.with_name(f"{database.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _create_or_probe(database: Path) -> None:
    """Have MLflow create its database beside, where there is none, and rename it.

    One whose creation was cut short would be of no use to MLflow ever after.
    """
    from mlflow import MlflowClient

    if database.exists() and (database.is_dir() or database.stat().st_size):
        _probe(database)
        return
    draft = database.with_name(f"{database.name}.part")
    for left in (draft, draft.with_name(f"{draft.name}-journal")):
        left.unlink(missing_ok=True)
    _probe(draft)
    MlflowClient(tracking_uri=f"sqlite:///{draft}").search_experiments(max_results=1)
    draft.replace(database)


def _probe(database: Path) -> None:
    """Fail at once where a database file cannot be used: MLflow would try for two minutes.

    Raises:
        OSError: the file cannot be opened, or is something else.
    """
    try:
        with closing(sqlite3.connect(database)) as connection:
            connection.execute("SELECT count(*) FROM sqlite_master")
    except sqlite3.Error as error:
        raise OSError(f"{database}: {error}") from error
