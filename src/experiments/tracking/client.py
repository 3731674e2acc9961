"""MLflow's experiments and runs: parameters, metrics, artifacts, traces.

These functions import MLflow, which takes longer than a small model takes to load, so a run
has them called in a process of their own (see `host`).
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import math
import os
import re
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, nullcontext
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from experiments.stats.columns import mlflow_columns
from experiments.tracking.errors import TrackingError
from experiments.tracking.traces import Answer, trace

if TYPE_CHECKING:
    from mlflow import MlflowClient

# Read by MLflow: no calls home, no bar for each file, and no long wait for a dead server.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")

LONGEST_PARAMETER = 500
"""Longer values, and those of several lines, are shown by their beginning and a digest, which
tells equal ones from others; `.hydra/config.yaml` among the artifacts has them whole."""

COLUMNS = mlflow_columns()
"""Columns of a sweep's view in MLflow, whose own table shows neither settings nor scores."""


Status = Literal["FINISHED", "FAILED", "KILLED"]
"""How a run ended, in MLflow's words."""

_PARAMETERS_AT_ONCE = 100
_METRICS_AT_ONCE = 1000


@dataclass(frozen=True)
class Tracker:
    """An MLflow experiment that runs can be logged to.

    Attributes:
        uri: of the tracking server or database.
        experiment_id: MLflow's.
    """

    uri: str
    experiment_id: str

    def start(self, name: str, parent: str | None = None, tags: Mapping[str, str] = {}) -> str:
        """Begin a run and return its id; `parent` is the id of a sweep's run."""
        from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

        parents = {MLFLOW_PARENT_RUN_ID: parent} if parent else {}
        with _told(self.uri):
            run = _client(self.uri).create_run(
                self.experiment_id, run_name=name, tags={**tags, **parents}
            )
        return str(run.info.run_id)

    def keep_view(self, sweep: str) -> None:
        """Keep a view of MLflow's runs: a sweep's jobs, the best first, with what matters.

        Its address is `#/experiments/EXPERIMENT/runs?viewStateShareKey=SWEEP`. By itself
        MLflow folds the jobs away below the sweep, and its charts of them are empty.
        """
        view = {
            "searchFilter": f"tags.`mlflow.parentRunId` = '{sweep}'",
            "orderByKey": "metrics.`pass_at_1/plus`",
            "orderByAsc": False,
            "selectedColumns": list(COLUMNS),
        }
        with _told(self.uri):
            _client(self.uri).set_experiment_tag(
                self.experiment_id, f"mlflow.sharedViewState.{sweep}", json.dumps(view)
            )

    def finish(self, run: str, status: Status) -> None:
        """End a run."""
        with _told(self.uri):
            _client(self.uri).set_terminated(run, status)

    def log_parameters(self, run: str, settings: Mapping[str, Any]) -> None:
        """Log settings under their dotted names."""
        from mlflow.entities import Param

        parameters = [Param(key, _short(value)) for key, value in settings.items()]
        with _told(self.uri):
            for some in _slices(parameters, _PARAMETERS_AT_ONCE):
                _client(self.uri).log_batch(run, params=some)

    def log_metrics(self, run: str, metrics: Mapping[str, float], step: int = 0) -> None:
        """Log numbers; those that are not finite are left out."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        finite = [Metric(k, float(v), now, step) for k, v in metrics.items() if math.isfinite(v)]
        with _told(self.uri):
            for some in _slices(finite, _METRICS_AT_ONCE):
                _client(self.uri).log_batch(run, metrics=some)

    def log_dataset(self, run: str, name: str, digest: str, problems: int) -> None:
        """Log the data set as MLflow's dataset input, with its digest and number of problems."""
        from mlflow.entities import Dataset as MlflowDataset
        from mlflow.entities import DatasetInput, InputTag

        entity = MlflowDataset(
            name=name,
            digest=digest[:36],
            source_type="local",
            source=json.dumps({"name": name}),
            profile=json.dumps({"num_rows": problems}),
        )
        tags = [InputTag("mlflow.data.context", "evaluation")]
        with _told(self.uri):
            _client(self.uri).log_inputs(run, [DatasetInput(entity, tags)])

    def log_folder(self, run: str, folder: Path) -> None:
        """Log the files of a run's folder as artifacts."""
        with _told(self.uri):
            _client(self.uri).log_artifacts(run, str(folder))

    def log_traces(self, run: str, answers: Iterable[Answer]) -> None:
        """Log each generation as a trace, with verdict and format as assessments by code."""
        from mlflow.tracing.client import TracingClient

        with _told(self.uri):
            client = TracingClient(self.uri)
            into_database = hasattr(client.store, "ManagedSessionMaker")
            made = [trace(self.experiment_id, run, each, into_database) for each in answers]
            infos, spans = [info for info, _ in made], [span for _, span in made]
            if into_database and _written_together(client.store, infos, spans):
                return
            for info in infos:
                client.start_trace(info)
            client.log_spans(self.experiment_id, spans)

    def log_files(self, run: str, files: Iterable[Path], folder: str | None = None) -> None:
        """Log single files as artifacts, into a folder of that name if one is given."""
        with _told(self.uri):
            for file in files:
                _client(self.uri).log_artifact(run, str(file), folder)

    def describe(self, run: str, text: str) -> None:
        """Set a run's description, which MLflow shows as Markdown."""
        from mlflow.utils.mlflow_tags import MLFLOW_RUN_NOTE

        with _told(self.uri):
            _client(self.uri).set_tag(run, MLFLOW_RUN_NOTE, text)


def open_tracker(uri: str, artifacts: str | None, experiment: str) -> Tracker:
    """Return the tracker of an MLflow experiment; creates database and experiment if new.

    Several processes may call this at once: a lock lets one of them create the database,
    since MLflow itself fails when several open a fresh one together.

    Args:
        uri: `sqlite:///FILE` or the address of a tracking server.
        artifacts: folder of the artifacts, for databases on this machine.
        experiment: name of the MLflow experiment.

    Raises:
        TrackingError: the database or the server cannot be used.
    """
    database = _database_file(uri)
    with _told(uri), _creation_lock(database):
        if database is not None:
            _create_or_probe(database)
        client = _client(uri)
        found = client.get_experiment_by_name(experiment)
        if found is not None:
            return Tracker(uri, str(found.experiment_id))
        location = None
        if artifacts and "://" in artifacts:
            location = artifacts
        elif artifacts and _database_file(uri):
            location = Path(artifacts).resolve().as_uri()
        return Tracker(uri, str(client.create_experiment(experiment, artifact_location=location)))


def is_run_id(text: str) -> bool:
    """Return whether a text has the form of an MLflow run id."""
    return re.fullmatch(r"[0-9a-f]{32}", text) is not None


def fetch(uri: str, run: str, folder: Path) -> Path:
    """Return a folder with the files of an MLflow run, or of all jobs of a sweep's run.

    Args:
        uri: of the tracking server or database.
        run: its id.
        folder: where a folder of that name is put.

    Raises:
        TrackingError: there is no such run, or the server cannot be used.
    """
    database = _database_file(uri)
    if database is not None and not database.exists():
        raise TrackingError(f"There is no MLflow database {database}", "Name another: --uri URI")
    from mlflow.exceptions import MlflowException

    target = folder / run
    with _told(uri):
        client = _client(uri)
        try:
            experiment = client.get_run(run).info.experiment_id
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            raise TrackingError(
                f"There is no run {run} in MLflow at '{uri}'", "Name another place: --uri URI"
            ) from None
        jobs = client.search_runs([experiment], f"tags.`mlflow.parentRunId` = '{run}'")
        for number, job in enumerate(reversed(jobs)):
            _download(client, job.info.run_id, target / str(number))
        if not jobs:
            _download(client, run, target)
    return target


def _download(client: MlflowClient, run: str, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for artifact in client.list_artifacts(run):
        client.download_artifacts(run, artifact.path, str(folder))


def _client(uri: str) -> MlflowClient:
    """Return a client, which MLflow makes cheaply: the connections behind it are shared."""
    from mlflow import MlflowClient

    logging.getLogger("mlflow.store.db.utils").setLevel(logging.WARNING)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    return MlflowClient(tracking_uri=uri)


def _written_together(store: Any, infos: list[Any], spans: list[Any]) -> bool:
    """Write traces of one experiment in one transaction, and return whether that succeeded.

    By itself MLflow looks the experiment up, writes and commits for each trace anew, and looks
    for what spans may change of a trace, which takes three quarters of the time.
    """
    from mlflow.tracing.constant import SpansLocation, TraceTagKey

    try:
        experiment = infos[0].experiment_id
        found = store.get_experiment(experiment)
        with store.ManagedSessionMaker(read_only=False) as session:
            quick = copy(store)  # other threads write through the one that is shared
            quick.get_experiment = lambda _: found
            quick.ManagedSessionMaker = lambda read_only=True: nullcontext(session)
            flush, session.flush = session.flush, lambda objects=None: None
            try:
                for info in infos:
                    info.tags[TraceTagKey.SPANS_LOCATION] = SpansLocation.TRACKING_STORE.value
                    quick.start_trace(info)
                flush()
                quick.log_spans(experiment, spans)
            finally:
                del session.flush  # for the commit
    except Exception:  # one by one MLflow mends more by itself, or tells what is wrong
        return False
    return True


def _database_file(uri: str) -> Path | None:
    prefix = "sqlite:///"
    return Path(uri.removeprefix(prefix)) if uri.startswith(prefix) else None


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
    """Have MLflow create its database beside, where there is none.

    One whose creation was cut short would be of no use to MLflow ever after.
    """
    if database.exists() and (database.is_dir() or database.stat().st_size):
        _probe(database)
        return
    draft = database.with_name(f"{database.name}.part")
    for left in (draft, draft.with_name(f"{draft.name}-journal")):
        left.unlink(missing_ok=True)
    _probe(draft)
    _client(f"sqlite:///{draft}")
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


@contextmanager
def _told(uri: str) -> Iterator[None]:
    """Turn what goes wrong between here and the tracking store into one line."""
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (MlflowException, SQLAlchemyError, OSError, ImportError) as error:
        first_line = (str(error).splitlines() or [type(error).__name__])[0]
        raise TrackingError(
            f"MLflow at '{uri}' cannot be used: {first_line}",
            "Results are in the run's folder. Check tracking.uri, or go without it: "
            "tracking.enabled=false",
        ) from error


def _short(value: Any) -> str:
    text = "" if value is None else str(value)
    if len(text) <= LONGEST_PARAMETER and "\n" not in text.strip():
        return text.strip()
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    return f"{' '.join(text[:60].split())}… ({len(text)} characters, SHA-256 {digest})"


def _slices(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
