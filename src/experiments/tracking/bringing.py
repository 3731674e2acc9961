"""A run's folder → its run in MLflow: begun, filled and ended, each but once.

    begin(note)     finds the run by its key, or makes it; logs its settings
    fill(note)      logs what the folder of a finished run, or of a sweep, has
    end(note)       says how it ended

Each looks first for what MLflow has already. So whatever was cut short, by a crash or by a store
that went away, is done by doing it again. A request that timed out may be carried out later all
the same: what is there twice then is deleted but once.
"""

from __future__ import annotations

import getpass
import os
from collections.abc import Iterable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.errors import StoreError
from experiments.records import Prompt, RunReport, by_sample
from experiments.store import claims, runs
from experiments.tracking import logs, notes
from experiments.tracking.notes import KEY, Note
from experiments.tracking.opening import explained, open_experiment
from experiments.tracking.traces import Sample, log_samples

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run


def begin(note: Note, system_metrics: bool = False) -> Note:
    """Begin a run in MLflow or go on with it, and make it MLflow's active one.

    Raises:
        TrackingError: the database or the server cannot be used.
    """
    new = note.new
    experiment = open_experiment(new.uri, new.artifacts, new.experiment)
    with explained(new.uri):
        import mlflow
        from mlflow import MlflowClient

        mlflow.set_tracking_uri(new.uri)
        mlflow.set_experiment(experiment_id=experiment)
        client = MlflowClient()
        run = _found(client, experiment, note)
        if run is None:
            run = client.create_run(
                experiment,
                start_time=int(note.began * 1000),
                tags=_tags(note),
                run_name=new.name,
            )
        note = replace(note, run_id=run.info.run_id, experiment_id=experiment)
        notes.write(note)
        if note.former:
            _close(client, note.former)
        if mlflow.active_run() is None:
            has_psutil = find_spec("psutil") is not None
            mlflow.start_run(run.info.run_id, log_system_metrics=system_metrics and has_psutil)
        logs.log_parameters(new.parameters)
        if new.dataset is not None:
            logs.log_dataset(*new.dataset)
        if note.is_sweep:
            logs.keep_view()
    return note


def fill(note: Note) -> None:
    """Log what the folder of a finished run, or of a sweep that ended, has.

    Raises:
        TrackingError: the database or the server cannot be used.
        StoreError: a file of the folder cannot be read.
    """
    folder, new = note.new.folder, note.new
    with explained(new.uri):
        if note.is_sweep:
            _adopt(note, folder)
            logs.describe(note.description)
            pages = (folder / "report.html", folder / "report.md", folder / runs.RACE)
            logs.log_files([path for path in pages if path.exists()])
            logs.log_files(sorted(folder.glob("figures/*.svg")), "figures")
            return
        report = runs.read_report(folder)
        logs.log_metrics(report.metrics)
        logs.describe(_description(report))
        logs.log_folder(folder, without=(claims.CLAIM,))
        if new.traces:
            log_samples(list(_samples(folder)))


def end(note: Note) -> None:
    """End MLflow's active run as its note says, at the time when its results were there.

    Raises:
        TrackingError: the database or the server cannot be used.
    """
    with explained(note.new.uri):
        import mlflow
        from mlflow import MlflowClient

        mlflow.end_run(note.status)
        client = MlflowClient()
        if (when := _ended_at(note)) is not None:
            client.set_terminated(note.run_id, note.status, end_time=int(when * 1000))
        _found(client, note.experiment_id, note)  # once more: what came late is deleted
    notes.write(replace(note, is_complete=True))


def fail(note: Note) -> None:
    """End MLflow's active run as one that failed; its folder still lacks something there.

    Raises:
        TrackingError: the database or the server cannot be used.
    """
    with explained(note.new.uri):
        import mlflow

        if mlflow.active_run() is not None:
            mlflow.end_run("FAILED")


def stale(uri: str, experiment: str, host: str) -> list[Path]:
    """Return the folders of this machine whose runs MLflow takes for running, and nobody works at.

    Raises:
        TrackingError: the database or the server cannot be used.
    """
    with explained(uri):
        from mlflow import MlflowClient

        client = MlflowClient(tracking_uri=uri)
        asked = f"attributes.status = 'RUNNING' and tags.host = '{host}'"
        found = []
        for run in client.search_runs([experiment], asked):
            folder = Path(run.data.tags.get("run_folder", ""))
            note = notes.read(folder)
            if note is not None and note.key == run.data.tags.get(KEY):
                found.append(folder)
        return [folder for folder in found if not claims.is_claimed(folder)]


def _tags(note: Note) -> dict[str, str]:
    given = {"mlflow.user": _user(), **note.new.tags, KEY: note.key}
    if note.new.parent:
        given["mlflow.parentRunId"] = note.new.parent
    return given


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # an account without a name, as in a container
        return str(os.getuid())


def _found(client: MlflowClient, experiment: str, note: Note) -> Run | None:
    """Return the run of a note if MLflow has it; others of the same key are deleted."""
    found = client.search_runs([experiment], f"tags.{KEY} = '{note.key}'")
    if not found:
        return None
    kept = min(found, key=lambda run: (run.info.run_id != note.run_id, run.info.run_id))
    for run in found:
        if run is not kept:
            client.delete_run(run.info.run_id)
    return kept


def _close(client: MlflowClient, run_id: str) -> None:
    """End a run that its folder does not go on with."""
    from mlflow import MlflowException

    try:
        if client.get_run(run_id).info.status == "RUNNING":
            client.set_terminated(run_id, "KILLED")
    except MlflowException as error:
        if error.get_http_status_code() != 404:
            raise


def _adopt(note: Note, folder: Path) -> None:
    """Make a sweep's run the parent of jobs that began while MLflow was away."""
    from mlflow import MlflowClient

    client = MlflowClient()
    for path in folder.glob(f"*/{runs.TRACKED}"):
        job = notes.read(path.parent)
        if job is not None and job.run_id and job.new.parent != note.run_id:
            client.set_tag(job.run_id, "mlflow.parentRunId", note.run_id)


def _ended_at(note: Note) -> float | None:
    """Return when a finished run's last program was judged; None if that is not known.

    Not when its numbers were written: a comparison of levels adds some, at the end of a sweep.
    """
    if not runs.is_finished(note.new.folder):
        return None  # verdicts may be there of an attempt before
    try:
        return max(note.new.folder.joinpath(runs.VERDICTS).stat().st_mtime, note.began)
    except OSError:
        return None


def _samples(folder: Path) -> Iterable[Sample]:
    """Yield the samples of a finished run, from the files in its folder."""
    prompts = {prompt.problem_id: prompt for prompt in runs.read_prompts(folder)}
    programs = by_sample(runs.read_programs(folder))
    verdicts = by_sample(runs.read_verdicts(folder))
    for generation in runs.read_generations(folder):
        sample = generation.problem_id, generation.sample
        if sample not in verdicts or sample not in programs:
            raise StoreError(f"{folder} lacks the verdict of {sample[0]}", "Make the run again.")
        prompt = prompts.get(sample[0], Prompt(sample[0], ""))
        yield logs.storable(Sample(prompt, generation, programs[sample], verdicts[sample]))


def _description(report: RunReport) -> str:
    """Return a run's main result as Markdown."""
    rate = report.metrics.get("pass_at_1/plus")
    if rate is None:
        return report.note
    low, high = (100 * report.metrics[f"pass_at_1/plus_{end}"] for end in ("low", "high"))
    result = f"**pass@1 {100 * rate:.1f} %** (95 % interval {low:.0f} to {high:.0f})"
    return f"{result}\n\n{report.note}".rstrip()
