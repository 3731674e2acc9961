"""What is logged to MLflow's active run: settings, numbers, the data set, files, a description.

What is there already is not logged again, so that each may be called once more after a failure.
These functions run in the process that calls MLflow (see `worker`); everywhere else they are
only named, so that MLflow is imported there alone.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.errors import printable
from experiments.stats.columns import mlflow_columns
from experiments.store import runs

if TYPE_CHECKING:
    from mlflow.entities import Run

LONGEST_PARAMETER = 500
"""Longer values, and those of several lines, are shown by their beginning and a digest, which
tells equal ones from others; `.hydra/config.yaml` among the artifacts has them whole."""

_ODD = re.compile(r"[^\w.\-: /]")
"""What no name of a parameter may have in MLflow."""

MOST_PARAMETERS = 100
"""A tracking server takes no more at once."""

COLUMNS = mlflow_columns()
"""Columns of a sweep's view in MLflow, whose own table shows neither settings nor scores."""


def log_parameters(settings: Mapping[str, Any]) -> None:
    """Log settings under their dotted names; of one that has a value already, that stands."""
    import mlflow

    known = _logged().data.params if settings else {}
    named = {_ODD.sub("_", name): _short(value) for name, value in settings.items()}
    shown = iter({name: value for name, value in named.items() if name not in known}.items())
    while some := dict(islice(shown, MOST_PARAMETERS)):
        mlflow.log_params(some)


def log_metrics(metrics: Mapping[str, float], step: int = 0) -> None:
    """Log numbers; those that are not finite are left out."""
    import mlflow

    finite = {name: float(value) for name, value in metrics.items() if math.isfinite(value)}
    if step == 0:  # of a run that goes on, each step is logged but once
        known = _logged().data.metrics
        finite = {name: value for name, value in finite.items() if known.get(name) != value}
    mlflow.log_metrics(finite, step)


def log_dataset(name: str, digest: str, problems: int) -> None:
    """Log the data set as MLflow's dataset input, with its digest and number of problems."""
    from mlflow import MlflowClient
    from mlflow.entities import Dataset, DatasetInput, InputTag

    run = _logged()
    if any(given.dataset.digest == digest[:36] for given in run.inputs.dataset_inputs):
        return
    entity = Dataset(
        name=name,
        digest=digest[:36],
        source_type="local",
        source=json.dumps({"name": name}),
        profile=json.dumps({"num_rows": problems}),
    )
    tags = [InputTag("mlflow.data.context", "evaluation")]
    MlflowClient().log_inputs(run.info.run_id, [DatasetInput(entity, tags)])


def log_folder(folder: Path, without: Collection[str] = ()) -> None:
    """Log the files of a run's folder as artifacts, without those of some names.

    Of the folders in it, Hydra's alone is the run's: a person may have named one that holds more.
    Links are left out: a folder that was sent may have one to a file that was not.
    """
    files = [path for path in sorted(folder.iterdir()) if path.name not in without]
    log_files([path for path in files if path.is_file()])
    if not (hydra := folder / runs.HYDRA).is_symlink():
        log_files([path for path in sorted(hydra.glob("*")) if path.is_file()], hydra.name)


def log_files(files: Sequence[Path], folder: str | None = None) -> None:
    """Log single files as artifacts, into a folder of that name if one is given; no links."""
    import mlflow

    for file in files:
        if not file.is_symlink():
            mlflow.log_artifact(str(file), folder)


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


def _logged() -> Run:
    """Return MLflow's active run with what was logged to it until now."""
    from mlflow import MlflowClient, active_run

    return MlflowClient().get_run(active_run().info.run_id)


def _short(value: Any) -> str:
    text = "" if value is None else str(value)
    if len(text) <= LONGEST_PARAMETER and "\n" not in text.strip():
        return text.strip()
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    return f"{' '.join(text[:60].split())}… ({len(text)} characters, SHA-256 {digest})"


def storable(value: Any) -> Any:
    """Return what is logged with all its texts such that a database and a page can have them."""
    match value:
        case str():
            return printable(value)
        case dict():
            return {storable(name): storable(each) for name, each in value.items()}
        case list() | tuple():
            return type(value)(map(storable, value))
        case _ if is_dataclass(value) and not isinstance(value, type):
            names = [each.name for each in fields(value)]
            return replace(value, **{name: storable(getattr(value, name)) for name in names})
    return value
