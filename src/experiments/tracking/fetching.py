"""The files of a run, fetched back from MLflow."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.errors import TrackingError
from experiments.tracking.opening import explained, require_database

if TYPE_CHECKING:
    from mlflow import MlflowClient


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
    require_database(uri)
    target = folder / run
    logging.getLogger("alembic").setLevel(logging.WARNING)  # it would name each step of opening
    with explained(uri):
        from mlflow import MlflowClient, MlflowException

        client = MlflowClient(tracking_uri=uri)
        try:
            experiment = client.get_run(run).info.experiment_id
        except MlflowException as error:
            if error.get_http_status_code() != 404:
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
