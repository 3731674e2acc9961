"""MLflow's database and its experiments: opened, created if new, and told apart when broken."""

from __future__ import annotations

import fcntl
import os
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from experiments.errors import TrackingAway, TrackingError, masked

# Read by MLflow: no calls home, no bar for each file, no long wait for a server that is dead or
# does not answer.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")

DEFAULT = "sqlite:///mlruns/mlflow.db"

CONNECT_SECONDS = 5.0
"""Until a database elsewhere answers: MLflow itself would try for two minutes."""

PACKAGES = {"psycopg": "psycopg[binary]", "psycopg2": "psycopg2-binary", "MySQLdb": "mysqlclient"}
"""Where a driver's module is installed by another name."""

_WITHOUT = "or go without it: tracking.enabled=false"


def open_experiment(uri: str, artifacts: str | None, name: str) -> str:
    """Return the id of an MLflow experiment; creates database and experiment if new.

    Several processes may call this at once: a lock lets one of them create the database,
    since MLflow itself fails when several open a fresh one together.

    Args:
        uri: `sqlite:///FILE` or the address of a tracking server.
        artifacts: folder of the artifacts, for databases; or their address, for servers as well.
        name: of the MLflow experiment.

    Raises:
        TrackingError: the database or the server cannot be used.
        TrackingAway: it cannot be reached now.
    """
    database = database_file(uri)
    with explained(uri), _creation_lock(database):
        from mlflow import MlflowClient

        if database is not None:
            _create_or_probe(database)
        elif not is_server(uri):
            _reach(uri)
        client = MlflowClient(tracking_uri=uri)
        found = client.get_experiment_by_name(name)
        if found is not None:
            return str(found.experiment_id)
        location = None
        if artifacts and "://" in artifacts:
            location = artifacts
        elif artifacts and not is_server(uri):  # whose artifacts are where it has them
            location = Path(artifacts).resolve().as_uri()
        return str(client.create_experiment(name, artifact_location=location))


def address(uri: str | None) -> str:
    """Return the address of MLflow: as it is set, else as the environment has it."""
    return uri or os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT


def absolute(uri: str) -> str:
    """Return an address that means the same in every folder of this machine."""
    database = database_file(uri)
    return uri if database is None else f"sqlite:///{database.absolute()}"


def without_password(uri: str) -> str:
    """Return an address that may be kept and shown."""
    return masked(uri).replace(":***@", "@")


def with_password(uri: str) -> str:
    """Return an address with the password that the environment has for it."""
    given = os.environ.get("MLFLOW_TRACKING_URI", "")
    return given if without_password(given) == uri else uri


def is_server(uri: str) -> bool:
    """Return whether an address is that of a tracking server, and of no database."""
    return uri.startswith(("http://", "https://", "databricks"))


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
    shown = without_password(uri)
    try:
        yield
    except ModuleNotFoundError as error:
        package = PACKAGES.get(error.name or "", error.name)
        raise TrackingError(
            f"MLflow at '{shown}' needs the package {error.name}, which is not installed",
            f"Type: .venv/bin/pip install '{package}', {_WITHOUT}",
        ) from error
    except (MlflowException, SQLAlchemyError, OSError, ImportError) as error:
        first_line = (str(error).splitlines() or [type(error).__name__])[0]
        what = f"MLflow at '{shown}' cannot be used: {first_line}"
        if _may_pass(error):
            raise TrackingAway(what, "Results are in the run's folder.") from error
        raise TrackingError(
            what, f"Results are in the run's folder. Check tracking.uri, {_WITHOUT}"
        ) from error


def _may_pass(error: Exception) -> bool:
    """Tell whether the same may work later: a store that is down, slow, locked or full."""
    from mlflow import MlflowException
    from sqlalchemy.exc import OperationalError

    if isinstance(error, MlflowException):
        status = error.get_http_status_code()
        return status >= 500 or status in (408, 429)
    if isinstance(error, OSError):
        return not isinstance(error, FileNotFoundError | PermissionError | NotADirectoryError)
    return isinstance(error, OperationalError)


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
        TrackingError: the file cannot be opened, or is something else.
        TrackingAway: it is locked, or its disk is full.
    """
    try:
        with closing(sqlite3.connect(database)) as connection:
            connection.execute("SELECT count(*) FROM sqlite_master")
    except sqlite3.Error as error:
        what = f"MLflow's database {database} cannot be used: {error}"
        if any(words in str(error) for words in ("locked", "full", "disk I/O")):
            raise TrackingAway(what, "Results are in the run's folder.") from error
        raise TrackingError(what, f"Check tracking.uri, {_WITHOUT}") from error


def _reach(uri: str) -> None:
    """Fail at once where a database on another machine, or its server here, does not answer.

    Raises:
        TrackingAway: nobody listens at its address.
    """
    from sqlalchemy import make_url

    parts = make_url(uri)
    if not parts.host or not parts.port:
        return
    try:
        socket.create_connection((parts.host, parts.port), CONNECT_SECONDS).close()
    except OSError as error:
        raise TrackingAway(
            f"MLflow's database at {parts.host}:{parts.port} cannot be reached: {error}",
            "Results are in the run's folder.",
        ) from error
