"""A person's grades on the traces of a run: written there, and read from there.

A grade is an assessment `grade` by a human whose value is its name, with the comment as the
rationale; reasons are one of the name `reasons`. Those that are written here say by which rubric;
whoever adds a grade in MLflow's pages needs no more than the name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.errors import TrackingError
from experiments.tracking.opening import explained, require_database
from experiments.tracking.traces import traces_of

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Trace

GRADE, REASONS = "grade", "reasons"
RUBRIC = "rubric"
"""In the metadata of what is written here."""

Sample = tuple[str, int]
"""Problem and number of a sample."""


@dataclass(frozen=True)
class Said:
    """What a person said of a trace.

    Attributes:
        grade: empty: the former one is taken back.
        reviewer: as MLflow knows her.
        time: in seconds since 1970.
        rubric: by which the grade was given; empty where it was given in MLflow's pages.
    """

    grade: str
    reasons: tuple[str, ...]
    comment: str
    reviewer: str
    time: float
    rubric: str = ""


@dataclass(frozen=True)
class TracedRun:
    """A run in MLflow whose samples are traces.

    Attributes:
        traces: their ids by sample.
        said: what persons said of each, by sample.
    """

    run_id: str
    experiment: str
    traces: Mapping[Sample, str]
    said: Mapping[Sample, tuple[Said, ...]]


def find_run(uri: str, folder: Path, run_id: str | None) -> TracedRun:
    """Return a run with its traces.

    Args:
        uri: of the tracking server or database.
        folder: of the run; by it the run is found whose id is not known.
        run_id: as the run's folder has it.

    Raises:
        TrackingError: it is not there, it has no traces, or MLflow cannot be used.
    """
    require_database(uri)
    with explained(uri):
        from mlflow import MlflowClient, MlflowException

        client = MlflowClient(tracking_uri=uri)
        try:
            run = client.get_run(run_id) if run_id else _by_folder(client, folder)
        except MlflowException as error:
            if error.get_http_status_code() != 404:
                raise
            run = None
        if run is None:
            raise TrackingError(
                f"The run in {folder} is not in MLflow at '{uri}'", "Name another: --uri URI"
            )
        experiment = str(client.get_experiment(run.info.experiment_id).name)
        traces: dict[Sample, str] = {}
        said: dict[Sample, tuple[Said, ...]] = {}
        for trace in traces_of(client, run.info.experiment_id, run.info.run_id):
            spans = trace.data.spans
            problem = trace.info.tags.get("problem")
            if problem is None or not spans:
                continue
            sample = problem, int(spans[0].attributes.get("sample", 0))
            traces[sample] = trace.info.trace_id
            said[sample] = tuple(_said(trace))
    if not traces:
        raise TrackingError(
            f"The run in {folder} has no traces in MLflow at '{uri}' (tracking.traces=false?)",
            "Grade it in the terminal: --text",
        )
    return TracedRun(run.info.run_id, experiment, traces, said)


def answers(uri: str, experiment: str, traces: Iterable[str]) -> dict[str, list[Said]]:
    """Return what persons said of some traces of an experiment, by trace.

    Raises:
        TrackingError: MLflow is not there, or cannot be used.
    """
    require_database(uri)
    wanted = set(traces)
    with explained(uri):
        from mlflow import MlflowClient

        client = MlflowClient(tracking_uri=uri)
        return {
            trace.info.trace_id: list(_said(trace))
            for trace in traces_of(client, experiment)
            if trace.info.trace_id in wanted
        }


def write(uri: str, run: TracedRun, grades: Mapping[Sample, Sequence[Said]]) -> int:
    """Write grades on the traces of a run, those that are there already but once.

    Args:
        uri: of the tracking server or database.
        run: as it was found.
        grades: what counts of each reviewer, by sample.

    Returns:
        How many were new or other than before.

    Raises:
        TrackingError: MLflow cannot be used.
    """
    count = 0
    with explained(uri):
        import mlflow

        mlflow.set_tracking_uri(uri)
        for sample, given in grades.items():
            if sample not in run.traces:
                continue
            trace = mlflow.get_trace(run.traces[sample])
            for said in given:
                count += _write(trace, said)
    return count


def _write(trace: Trace, said: Said) -> bool:
    """Write one grade unless it is there; what the same reviewer said before is replaced."""
    import mlflow
    from mlflow.entities import AssessmentSource, AssessmentSourceType

    before = {each.name: each for each in _of(trace, said.reviewer)}
    given: dict[str, Any] = {GRADE: said.grade or None, REASONS: list(said.reasons) or None}
    changed = False
    for name, value in given.items():
        old = before.get(name)
        comment = (said.comment or None) if name == GRADE else None
        if old is not None and old.value == value and (old.rationale or None) == comment:
            continue
        if old is None and value is None:
            continue
        if old is not None:
            mlflow.delete_assessment(trace.info.trace_id, old.assessment_id)
        if value is not None:
            mlflow.log_feedback(
                trace_id=trace.info.trace_id,
                name=name,
                value=value,
                source=AssessmentSource(AssessmentSourceType.HUMAN, said.reviewer),
                rationale=comment,
                metadata={RUBRIC: said.rubric},
            )
        changed = True
    return changed


def _by_folder(client: MlflowClient, folder: Path) -> Any:
    """Return the newest run that was made in a folder, if there is one."""
    experiments = [each.experiment_id for each in client.search_experiments()]
    path = str(folder.resolve()).replace("'", "")
    found = client.search_runs(experiments, f"tags.run_folder = '{path}'", max_results=1)
    return found[0] if found else None


def _of(trace: Trace, reviewer: str | None = None) -> list[Any]:
    """Return the assessments by a person, or by one of that name, the oldest first."""
    found = [
        each
        for each in trace.info.assessments
        if each.source.source_type == "HUMAN"
        and each.valid is not False
        and each.name in (GRADE, REASONS)
        and reviewer in (None, each.source.source_id)
    ]
    return sorted(found, key=lambda each: each.last_update_time_ms or 0)


def _said(trace: Trace) -> Iterator[Said]:
    """Yield what each person said of a trace."""
    by_reviewer: dict[str, dict[str, Any]] = {}
    for each in _of(trace):
        by_reviewer.setdefault(each.source.source_id, {})[each.name] = each
    for reviewer, given in by_reviewer.items():
        grade, reasons = given.get(GRADE), given.get(REASONS)
        if grade is None or not isinstance(grade.value, str):
            continue
        listed = reasons.value if reasons is not None and isinstance(reasons.value, list) else []
        yield Said(
            grade=grade.value,
            reasons=tuple(str(each) for each in listed),
            comment=str(grade.rationale or ""),
            reviewer=reviewer,
            time=max(each.last_update_time_ms or 0 for each in given.values()) / 1000,
            rubric=str((grade.metadata or {}).get(RUBRIC, "")),
        )
