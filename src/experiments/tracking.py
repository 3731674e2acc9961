"""Runs in MLflow: parameters, metrics, artifacts and traces. The only module that imports it.

The run folder is the truth and MLflow a view of it: whatever fails here costs nothing that
was generated or judged.
"""

from __future__ import annotations

import base64
import fcntl
import hashlib
import json
import logging
import math
import os
import queue
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.errors import UserError
from experiments.records import Dataset, Generation, Prompt, Solution, Verdict

if TYPE_CHECKING:
    from mlflow import MlflowClient

# Read by MLflow: no calls home, no bar for each file, and no long wait for a dead server.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")

LONGEST_PARAMETER = 500
"""Longer values, and those of several lines, are shown by their beginning and a digest, which
tells equal ones from others; `.hydra/config.yaml` among the artifacts has them whole."""

COLUMNS = (
    "params.`model.name`",
    "params.`quantization.name`",
    "params.`prompt.name`",
    "metrics.`pass_at_1/plus`",
    "metrics.`pass_at_1/plus_low`",
    "metrics.`pass_at_1/plus_high`",
    "metrics.`pass_at_1/base`",
    "metrics.`format/kept`",
    "metrics.`speed/tokens_per_second`",
    "metrics.`cost/seconds_per_problem`",
    "metrics.`engine/peak_memory_megabytes`",
)
"""Of a sweep's view of MLflow's table of runs, whose own columns show no setting and no score."""

SECONDS_BETWEEN_STEPS = 2.0

log = logging.getLogger(__name__)

_TRACES_AT_ONCE = 50
_PARAMETERS_AT_ONCE = 100
_METRICS_AT_ONCE = 1000


class TrackingError(UserError):
    """The tracking server or its database cannot be used."""


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

    def finish(self, run: str, succeeded: bool) -> None:
        """End a run."""
        with _told(self.uri):
            _client(self.uri).set_terminated(run, "FINISHED" if succeeded else "FAILED")

    def log_parameters(self, run: str, config: Mapping[str, Any]) -> None:
        """Log every resolved setting under its dotted name."""
        from mlflow.entities import Param

        parameters = [Param(key, _short(value)) for key, value in _flat(config)]
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

    def log_dataset(self, run: str, dataset: Dataset) -> None:
        """Log the data set as MLflow's dataset input, with its digest."""
        from mlflow.entities import Dataset as MlflowDataset
        from mlflow.entities import DatasetInput, InputTag

        entity = MlflowDataset(
            name=dataset.name,
            digest=dataset.digest[:36],
            source_type="local",
            source=f'{{"name": "{dataset.name}"}}',
            profile=f'{{"num_rows": {len(dataset.problems)}}}',
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

        client = TracingClient(self.uri)
        with _told(self.uri):
            for some in _slices(list(answers), _TRACES_AT_ONCE):
                spans = []
                for answer in some:
                    info, span = _trace(self.experiment_id, run, answer)
                    client.start_trace(info)
                    spans.append(span)
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

    @contextmanager
    def live(self, run: str) -> Iterator[Live]:
        """Yield what logs to a run in the background; leaving waits until all is written.

        What fails there is told once, as a warning: a result is not lost for want of a log.
        """
        log = Live(self, run)
        try:
            yield log
        finally:
            log.close()


class Live:
    """Logs to one run from a thread of its own, so that nothing waits for the database.

    Args:
        tracker: where to.
        run: its id.
    """

    def __init__(self, tracker: Tracker, run: str) -> None:
        self._tracker = tracker
        self._run = run
        self._waiting: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._next_step = 0.0
        self._last_step: Callable[[], None] | None = None
        self._monitor = _system_monitor(tracker.uri, run)
        self._thread = threading.Thread(target=self._work, name="tracking", daemon=True)
        self._thread.start()

    def parameters(self, config: Mapping[str, Any]) -> None:
        """Log every resolved setting."""
        self._waiting.put(lambda: self._tracker.log_parameters(self._run, config))

    def dataset(self, dataset: Dataset) -> None:
        """Log the data set."""
        self._waiting.put(lambda: self._tracker.log_dataset(self._run, dataset))

    def step(self, step: int, metrics: Mapping[str, float]) -> None:
        """Log numbers of a run that is going on: at most once in two seconds, and the last."""

        def write() -> None:
            self._tracker.log_metrics(self._run, metrics, step)

        now = time.monotonic()
        if now < self._next_step:
            self._last_step = write
            return
        self._next_step = now + SECONDS_BETWEEN_STEPS
        self._last_step = None
        self._waiting.put(write)

    def results(
        self, metrics: Mapping[str, float], folder: Path, answers: Sequence[Answer], note: str
    ) -> None:
        """Log what came out: numbers, files, a trace per answer, and a description."""
        self._waiting.put(lambda: self._tracker.log_metrics(self._run, metrics))
        self._waiting.put(lambda: self._tracker.describe(self._run, note))
        self._waiting.put(lambda: self._tracker.log_traces(self._run, answers))
        self._waiting.put(lambda: self._tracker.log_folder(self._run, folder))

    def close(self) -> None:
        """Wait until all is written."""
        if self._monitor is not None:
            self._monitor.finish()
        if self._last_step is not None:
            self._waiting.put(self._last_step)
        self._waiting.put(None)
        self._thread.join()

    def _work(self) -> None:
        failed = False
        while (write := self._waiting.get()) is not None:
            if failed:
                continue
            try:
                write()
            except TrackingError as error:
                failed = True
                log.warning("warning: %s", error)
            except Exception:  # a bug: told with its traceback, and the results are on disk
                failed = True
                log.exception("warning: MLflow lacks a part of this run")


@dataclass(frozen=True)
class Answer:
    """All that is known of one generation."""

    prompt: Prompt
    generation: Generation
    solution: Solution
    verdict: Verdict


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
    with _told(uri), _creation_lock(uri):
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


def _database_file(uri: str) -> Path | None:
    prefix = "sqlite:///"
    return Path(uri.removeprefix(prefix)) if uri.startswith(prefix) else None


@contextmanager
def _creation_lock(uri: str) -> Iterator[None]:
    """Let one process at a time open a database file on this machine."""
    database = _database_file(uri)
    if database is None:
        yield
        return
    database.parent.mkdir(parents=True, exist_ok=True)
    with database.with_name(f"{database.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def _told(uri: str) -> Iterator[None]:
    """Turn what goes wrong between here and the tracking store into one line."""
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (MlflowException, SQLAlchemyError, OSError) as error:
        first_line = (str(error).splitlines() or [type(error).__name__])[0]
        raise TrackingError(
            f"MLflow at '{uri}' cannot be used: {first_line}",
            "Results are in the run's folder. Check tracking.uri, or go without it: "
            "tracking.enabled=false",
        ) from error


def _flat(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in config.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _short(value: Any) -> str:
    text = "" if value is None else str(value)
    if len(text) <= LONGEST_PARAMETER and "\n" not in text.strip():
        return text.strip()
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    return f"{' '.join(text[:60].split())}… ({len(text)} characters, SHA-256 {digest})"


def _slices(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _system_monitor(uri: str, run: str) -> Any:
    """Return a running monitor of CPU, memory, disk and network; None without psutil."""
    from importlib.util import find_spec

    if find_spec("psutil") is None:
        return None
    from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

    for name in ("mlflow.system_metrics.system_metrics_monitor", "mlflow.system_metrics.metrics"):
        logging.getLogger(name).setLevel(logging.WARNING)
    monitor = SystemMetricsMonitor(run, sampling_interval=5, tracking_uri=uri)
    monitor.start()
    return monitor


def _trace(experiment_id: str, run: str, answer: Answer) -> tuple[Any, Any]:
    """Return a generation as MLflow's trace and its only span, assessed by code."""
    from mlflow.entities import AssessmentSource, Feedback, Span, TraceInfo, TraceState
    from mlflow.entities.trace_location import TraceLocation

    generation, verdict, solution = answer.generation, answer.verdict, answer.solution
    seconds = generation.seconds_reading + generation.seconds_decoding
    end = time.time_ns()
    start = end - int(seconds * 1e9)
    number = secrets.token_bytes(16)
    trace_id = f"tr-{number.hex()}"
    messages = [{"role": m.role, "content": m.content} for m in answer.prompt.messages]
    inputs = {"messages": messages} if messages else {"prompt": answer.prompt.completion}
    outputs = {
        "text": generation.text,
        "program": _fenced(solution.program, "python"),
        "verdict": _fenced(_rationale(verdict)),
    }
    attributes = {
        "mlflow.traceRequestId": trace_id,
        "mlflow.spanType": "LLM",
        "mlflow.spanInputs": inputs,
        "mlflow.spanOutputs": outputs,
        "sample": generation.sample,
        "finish_reason": str(generation.finish_reason),
        "prompt_tokens": generation.prompt_tokens,
        "new_tokens": generation.new_tokens,
        "seconds_reading": generation.seconds_reading,
        "seconds_decoding": generation.seconds_decoding,
        "cached": generation.cached,
    }
    span = Span.from_dict(
        {
            "trace_id": base64.b64encode(number).decode(),
            "span_id": base64.b64encode(secrets.token_bytes(8)).decode(),
            "parent_span_id": None,
            "name": generation.problem_id,
            "start_time_unix_nano": start,
            "end_time_unix_nano": end,
            "status": {"code": "STATUS_CODE_OK", "message": ""},
            "attributes": {k: json.dumps(v, ensure_ascii=False) for k, v in attributes.items()},
            "events": [],
        }
    )
    source = AssessmentSource(source_type="CODE", source_id="experiments.judge")
    passed = verdict.plus == "passed"
    assessments = [
        Feedback("passed", passed, source=source, rationale=_rationale(verdict)),
        Feedback("format_kept", solution.format_kept, source=source),
    ]
    usage = {
        "input_tokens": generation.prompt_tokens,
        "output_tokens": generation.new_tokens,
        "total_tokens": generation.prompt_tokens + generation.new_tokens,
    }
    info = TraceInfo(
        trace_id=trace_id,
        trace_location=TraceLocation.from_experiment_id(experiment_id),
        request_time=start // 1_000_000,
        execution_duration=int(seconds * 1000),
        state=TraceState.OK,
        request_preview=_preview(messages[-1]["content"] if messages else inputs["prompt"]),
        response_preview=_preview(solution.program or generation.text),
        trace_metadata={
            "mlflow.sourceRun": run,
            "mlflow.trace_schema.version": "3",
            "mlflow.trace.tokenUsage": json.dumps(usage),
        },
        tags={
            "mlflow.traceName": generation.problem_id,
            "outcome": str(verdict.plus),
            "problem": generation.problem_id,
        },
        assessments=assessments,
    )
    return info, span


def _preview(text: Any) -> str:
    shown = str(text)
    return shown if len(shown) <= 1000 else f"{shown[:997]}..."


def _fenced(text: str, language: str = "") -> str:
    """Return a text as Markdown that keeps its lines: MLflow shows a trace's texts as such."""
    longest = max((len(ticks) for ticks in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}" if text else ""


def _rationale(verdict: Verdict) -> str:
    told = f"{verdict.plus}: {verdict.tests_passed} of {verdict.tests_total} tests passed"
    if verdict.failure is None:
        return told
    failure = verdict.failure
    expected = f"expected {failure.expected}\n" if failure.expected else ""
    return f"{told}\n{failure.call}\n{expected}got {failure.actual}"
