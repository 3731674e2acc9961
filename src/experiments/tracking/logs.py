"""What is logged to MLflow's active run: settings, numbers, the data set, files, a description.

These functions run in the process that calls MLflow (see `worker`); everywhere else they are
only named, so that MLflow is imported there alone.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from experiments.stats.columns import mlflow_columns

LONGEST_PARAMETER = 500
"""Longer values, and those of several lines, are shown by their beginning and a digest, which
tells equal ones from others; `.hydra/config.yaml` among the artifacts has them whole."""

MOST_PARAMETERS = 100
"""A tracking server takes no more at once."""

COLUMNS = mlflow_columns()
"""Columns of a sweep's view in MLflow, whose own table shows neither settings nor scores."""


def log_parameters(settings: Mapping[str, Any]) -> None:
    """Log settings under their dotted names."""
    import mlflow

    shown = iter({name: _short(value) for name, value in settings.items()}.items())
    while some := dict(islice(shown, MOST_PARAMETERS)):
        mlflow.log_params(some)


def log_metrics(metrics: Mapping[str, float], step: int = 0) -> None:
    """Log numbers; those that are not finite are left out."""
    import mlflow

    finite = {name: float(value) for name, value in metrics.items() if math.isfinite(value)}
    mlflow.log_metrics(finite, step)


def log_dataset(name: str, digest: str, problems: int) -> None:
    """Log the data set as MLflow's dataset input, with its digest and number of problems."""
    from mlflow import MlflowClient, active_run
    from mlflow.entities import Dataset, DatasetInput, InputTag

    entity = Dataset(
        name=name,
        digest=digest[:36],
        source_type="local",
        source=json.dumps({"name": name}),
        profile=json.dumps({"num_rows": problems}),
    )
    tags = [InputTag("mlflow.data.context", "evaluation")]
    MlflowClient().log_inputs(active_run().info.run_id, [DatasetInput(entity, tags)])


def log_folder(folder: Path) -> None:
    """Log the files of a folder as artifacts."""
    import mlflow

    mlflow.log_artifacts(str(folder))


def log_files(files: Sequence[Path], folder: str | None = None) -> None:
    """Log single files as artifacts, into a folder of that name if one is given."""
    import mlflow

    for file in files:
        mlflow.log_artifact(str(file), folder)


def add_to_run(run_id: str, metrics: Mapping[str, float], files: Sequence[Path]) -> None:
    """Log numbers and files to another run than the active one, which may have ended."""
    from mlflow import MlflowClient

    client = MlflowClient()
    for name, value in metrics.items():
        client.log_metric(run_id, name, value)
    for file in files:
        client.log_artifact(run_id, str(file))


def describe(text: str) -> None:
    """Set the run's description, which MLflow shows as Markdown."""
    import mlflow

    mlflow.set_tag("mlflow.note.content", text)


def keep_view() -> None:
    """Keep a view of MLflow's runs for a sweep: its jobs, the best first, with what matters.

    Its address is `#/experiments/EXPERIMENT/runs?viewStateShareKey=RUN`. By itself MLflow
    folds the jobs away below the sweep, and its charts of them are empty. The tag is one that
    MLflow's pages read and its reference does not name: should they stop, the view is gone
    and nothing else.
    """
    from mlflow import MlflowClient, active_run

    sweep = active_run().info
    view = {
        "searchFilter": f"tags.`mlflow.parentRunId` = '{sweep.run_id}'",
        "orderByKey": "metrics.`pass_at_1/plus`",
        "orderByAsc": False,
        "selectedColumns": list(COLUMNS),
    }
    MlflowClient().set_experiment_tag(
        sweep.experiment_id, f"mlflow.sharedViewState.{sweep.run_id}", json.dumps(view)
    )


def _short(value: Any) -> str:
    text = "" if value is None else str(value)
    if len(text) <= LONGEST_PARAMETER and "\n" not in text.strip():
        return text.strip()
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    return f"{' '.join(text[:60].split())}… ({len(text)} characters, SHA-256 {digest})"
