"""Logging to MLflow, in a real database on this disk."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from experiments.errors import StoreError, TrackingError
from experiments.records import (
    Failure,
    FinishReason,
    Generation,
    Message,
    Outcome,
    ProblemInfo,
    Prompt,
    Solution,
    Verdict,
)
from experiments.store import runs
from experiments.tracking import bringing, logs, worker
from experiments.tracking.fetching import fetch, is_run_id
from experiments.tracking.notes import Note
from experiments.tracking.opening import open_experiment
from experiments.tracking.recorder import End, NewRun, Progress, Recorder
from experiments.tracking.traces import Sample, log_samples

# MLflow's own, and the tests make errors of warnings
pytestmark = pytest.mark.filterwarnings("ignore:.*Any type hint")

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run, Trace


@dataclass(frozen=True)
class Store:
    """An MLflow database with an experiment."""

    folder: Path
    uri: str
    experiment: str

    @property
    def client(self) -> MlflowClient:
        from mlflow import MlflowClient

        return MlflowClient(tracking_uri=self.uri)

    def new(self, name: str, **given: Any) -> NewRun:
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        return NewRun(self.uri, None, "x", name, folder, **given)

    def run(self, name: str) -> Run:
        found = self.client.search_runs([self.experiment], f"tags.`mlflow.runName` = '{name}'")
        (run,) = found
        return run

    def status(self, name: str) -> str:
        """Return how a run ended, waiting for that for a while."""
        deadline = time.monotonic() + 60
        while self.run(name).info.status == "RUNNING" and time.monotonic() < deadline:
            time.sleep(0.1)
        return str(self.run(name).info.status)

    def traces(self, run_id: str) -> dict[str, Trace]:
        found = self.client.search_traces(
            locations=[self.experiment], run_id=run_id, max_results=500
        )
        return {trace.info.tags["problem"]: trace for trace in found}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    folder = tmp_path_factory.mktemp("tracking")
    uri = f"sqlite:///{folder}/db/mlflow.db"
    return Store(folder, uri, open_experiment(uri, str(folder / "artifacts"), "x"))


def sample(number: int, passed: bool = True) -> Sample:
    outcome = Outcome.PASSED if passed else Outcome.WRONG_ANSWER
    failure = None if passed else Failure("f(1)", "2", "3")
    generation = Generation("k", f"p{number}", 0, "text ünd", FinishReason.END_TOKEN, 5, 0, 7)
    return Sample(
        Prompt(f"p{number}", "f", (Message("user", "Write f"),)),
        replace(generation, prefill_seconds=1.0, decode_seconds=2.0),
        Solution(f"p{number}", 0, "def f(): ...", True, True),
        Verdict(f"p{number}", 0, outcome, outcome, int(passed), 1, 0, 0, failure),
    )


def write(folder: Path, samples: list[Sample]) -> None:
    """Write the folder of a finished run."""
    runs.write_run(
        folder,
        generations=[each.generation for each in samples],
        verdicts=[each.verdict for each in samples],
        programs=[each.solution for each in samples],
        problems=[ProblemInfo(each.prompt.problem_id) for each in samples],
        manifest={"labels": {"model": "m"}, "note": "**half**"},
        metrics={"pass": 0.5},
        prompts=[each.prompt for each in samples],
    )


# --- a run through the process that logs it


@pytest.fixture(scope="module")
def whole(store: Store) -> Run:
    """A run that logged all there is."""
    parent = store.client.create_run(store.experiment, run_name="sweep").info.run_id
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL", "0.5")
        environment.setenv("MLFLOW_RUN_ID", parent)  # left by something else
        new = store.new(
            "whole",
            parent=parent,
            tags={"kind": "run"},
            parameters={"a.b": 1},
            dataset=("some", "0" * 64, 3),
        )
        recorder = Recorder(new)
    recorder.progress(3, {"progress/generations": 3.0})
    recorder.progress(4, {"progress/generations": 4.0})  # too soon after the one before
    recorder.progress(5, {"progress/generations": 5.0})  # as well, but the last
    recorder.started()
    write(new.folder, [sample(number, number % 2 == 0) for number in range(4)])
    for name in (".hydra", "mlruns"):
        (new.folder / name).mkdir()
        (new.folder / name / "config.yaml").write_text("seed: 0")
    (store.folder / "private").mkdir()
    (store.folder / "private" / "key").write_text("of nobody else")
    (new.folder / "audit.json").symlink_to(store.folder / "private" / "key")
    (new.folder / "figures").symlink_to(store.folder / "private")
    (new.folder / ".hydra" / "key").symlink_to(store.folder / "private" / "key")
    time.sleep(1.5)  # for a measurement of the machine
    recorder.end("FINISHED")
    recorder.end("FAILED")  # too late
    recorder.progress(6, {"progress/generations": 6.0})  # as well
    assert recorder.wait(60)
    return store.run("whole")


def test_all_that_is_logged_is_found_again(store: Store, whole: Run) -> None:
    client, run_id = store.client, whole.info.run_id
    assert whole.info.status == "FINISHED"
    assert whole.data.tags["kind"] == "run"
    assert whole.data.tags["mlflow.note.content"] == "**half**"
    assert whole.data.tags["mlflow.parentRunId"] == store.run("sweep").info.run_id
    assert whole.data.params == {"a.b": "1"}
    assert whole.data.metrics["pass"] == 0.5
    assert "system/cpu_utilization_percentage" in whole.data.metrics
    steps = client.get_metric_history(run_id, "progress/generations")
    assert [(metric.step, metric.value) for metric in steps] == [(3, 3.0), (5, 5.0)]
    files = [file.path for file in client.list_artifacts(run_id)]
    assert files == [  # neither links nor folders that are not the run's
        *(".hydra", "generations.jsonl", "manifest.json", "metrics.json", "problems.jsonl"),
        *("prompts.jsonl", "samples.jsonl", "tracking.json", "verdicts.jsonl"),
    ]
    inner = client.list_artifacts(run_id, ".hydra")
    assert [file.path for file in inner] == [".hydra/config.yaml"]  # and no links
    assert (store.folder / "artifacts").is_dir()
    (given,) = whole.inputs.dataset_inputs
    assert (given.dataset.name, given.dataset.digest) == ("some", "0" * 36)


def test_each_sample_is_a_trace_with_its_verdict_times_and_tokens(store: Store, whole: Run) -> None:
    traces = store.traces(whole.info.run_id)
    assert {name: trace.info.tags["outcome"] for name, trace in traces.items()} == {
        "p0": "passed", "p1": "wrong_answer", "p2": "passed", "p3": "wrong_answer",
    }  # fmt: skip
    for name, trace in traces.items():
        assert trace.info.execution_duration == 3000
        assert trace.info.token_usage == {
            "input_tokens": 5, "output_tokens": 7, "total_tokens": 12,
        }  # fmt: skip
        assert trace.info.request_preview == "Write f"
        (span,) = trace.data.spans
        assert span.name == name
        assert span.outputs["text"] == "text ünd"
        assert span.attributes["finish_reason"] == "end_token"
        by_name = {each.name: each for each in trace.info.assessments}
        assert {each.source.source_type for each in by_name.values()} == {"CODE"}
        assert by_name["passed"].value is (name in ("p0", "p2"))
        assert by_name["format_kept"].value is True
    rationale = {each.name: each.rationale for each in traces["p1"].info.assessments}
    assert rationale["passed"] == ("wrong_answer: 0 of 1 tests passed\nf(1)\nexpected 2\ngot 3")


def test_a_bug_over_there_keeps_its_traceback(store: Store) -> None:
    recorder = Recorder(store.new("bug", parameters={None: 1}))  # a name that is no text
    with pytest.raises(RuntimeError, match=r"Traceback(.|\n)*TypeError"):
        recorder.started()
    recorder.end("FINISHED")
    with pytest.raises(RuntimeError, match=r"Traceback(.|\n)*TypeError"):
        recorder.wait()
    assert store.run("bug").info.status == "FAILED"


def test_a_run_whose_folder_takes_no_note_is_told_at_once(store: Store) -> None:
    new = store.new("unnoted")
    new.folder.rmdir()
    new.folder.write_text("a file")
    recorder = Recorder(new)
    with pytest.raises(StoreError, match="unnoted"):
        recorder.started()
    recorder.end("FINISHED")
    with pytest.raises(StoreError, match="unnoted"):
        recorder.wait()


def test_a_run_that_cannot_begin_is_told_at_once_and_at_the_end(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").mkdir()
    new = NewRun(f"sqlite:///{tmp_path}/mlflow.db", None, "x", "name", tmp_path)
    recorder = Recorder(replace(new, parameters={"a": 1}))
    with pytest.raises(TrackingError, match="unable to open database file"):
        recorder.started()
    with pytest.raises(TrackingError, match="unable to open database file"):
        recorder.progress(1, {})
    recorder.end("FINISHED")
    with pytest.raises(TrackingError, match="unable to open database file"):
        recorder.wait()


def test_a_process_that_died_is_told_with_what_it_wrote(store: Store) -> None:
    recorder = Recorder(store.new("dead"))
    recorder.started()
    recorder._process.kill()
    recorder.end("FINISHED")
    with pytest.raises(TrackingError, match=r"died \(exit code -9\)"):
        recorder.wait()


def test_a_run_whose_process_was_killed_ends_as_killed(store: Store) -> None:
    code = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from experiments.tracking.recorder import NewRun, Recorder\n"
        "Recorder(NewRun(sys.argv[1], None, 'x', 'killed', Path(sys.argv[2]))).started()\n"
        "os.kill(os.getpid(), 9)"
    )
    folder = store.new("killed").folder
    (folder / "verdicts.jsonl").touch()
    os.utime(folder / "verdicts.jsonl", (0, 0))  # of an attempt before
    done = subprocess.run([sys.executable, "-c", code, store.uri, folder], timeout=120)
    assert done.returncode == -signal.SIGKILL
    assert store.status("killed") == "KILLED"
    info = store.run("killed").info
    assert info.end_time > info.start_time


def test_what_an_interrupted_run_had_to_log_is_logged_after_its_end(store: Store) -> None:
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from experiments.tracking.recorder import NewRun, Recorder\n"
        "recorder = Recorder(NewRun(sys.argv[1], None, 'x', 'interrupted', Path(sys.argv[2])))\n"
        "recorder.end('KILLED')\n"
        "assert not recorder.wait(0.1)\n"
    )
    folder = store.new("interrupted").folder
    write(folder, [sample(number) for number in range(30)])
    subprocess.run([sys.executable, "-c", code, store.uri, folder], check=True, timeout=120)
    while not store.client.search_runs([store.experiment], "tags.mlflow.runName = 'interrupted'"):
        time.sleep(0.1)
    assert store.status("interrupted") == "FINISHED"  # as its folder says
    assert len(store.traces(store.run("interrupted").info.run_id)) == 30


# --- what is logged


@pytest.fixture
def begun(
    store: Store, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Note]:
    """A run that is MLflow's active one, named like the test."""
    import mlflow

    for name, value in worker.ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    before = mlflow.get_tracking_uri()
    yield bringing.begin(Note(store.new(request.node.name), request.node.name, time.time()))
    mlflow.end_run()
    mlflow.set_tracking_uri(before)


@pytest.fixture
def active(begun: Note) -> str:
    """The id of that run."""
    return begun.run_id


def test_what_fails_is_told_at_the_end_and_the_run_has_failed(store: Store, begun: Note) -> None:
    wrong = replace(begun.new, parameters={"a" * 300: 1})  # a name that MLflow does not take
    with pytest.raises(TrackingError, match=r"cannot be used: .*Check tracking\.uri"):
        worker.log(replace(begun, new=wrong), [End("FINISHED")])
    run = store.client.get_run(begun.run_id)
    assert run.info.status == "FAILED"
    assert run.data.params == {}


def test_progress_that_could_not_be_logged_costs_nothing_else(store: Store, begun: Note) -> None:
    received = [Progress(1, {"no such name: !": 1.0}), Progress(2, {"p": 2.0}), End("FINISHED")]
    write(begun.new.folder, [sample(0)])
    with pytest.raises(TrackingError, match="no such name"):
        worker.log(begun, received)
    run = store.client.get_run(begun.run_id)
    assert run.info.status == "FINISHED"
    assert run.data.metrics == {"pass": 0.5}


def test_numbers_that_are_not_finite_are_left_out(store: Store, active: str) -> None:
    logs.log_metrics({"pass": 0.5, "undefined": math.nan})
    assert store.client.get_run(active).data.metrics == {"pass": 0.5}


def test_a_run_without_a_status_was_killed(store: Store, begun: Note) -> None:
    worker.log(begun, [])
    assert store.client.get_run(begun.run_id).info.status == "KILLED"


def test_texts_of_several_lines_are_parameters_that_tell_equal_ones_from_others(
    store: Store, active: str
) -> None:
    long = "Write the function.\n" * 100
    many = {f"many.{number}": number for number in range(150)}
    logs.log_parameters({"a": long, "b": long, "c": f"{long}!", "d": "short\n", "e": None, **many})
    found = store.client.get_run(active).data.params
    assert found["a"] == found["b"] != found["c"]
    assert found["a"].startswith("Write the function.")
    assert "\n" not in found["a"]
    assert (found["d"], found["e"]) == ("short", "")
    assert len(found) == 155


def test_a_program_keeps_its_lines_in_a_trace(store: Store, active: str) -> None:
    given = sample(0)
    program = 'def f():\n    return """```"""\n'
    log_samples([replace(given, solution=replace(given.solution, program=program))])
    (span,) = store.traces(active)["p0"].data.spans
    assert span.outputs["program"] == f"````python\n{program}````"


def test_a_prompt_to_go_on_from_is_the_input_of_its_trace(store: Store, active: str) -> None:
    log_samples([replace(sample(0), prompt=Prompt("p0", "f", completion="def f():\n"))])
    (span,) = store.traces(active)["p0"].data.spans
    assert span.inputs == {"prompt": "def f():\n"}


def test_a_sweep_has_a_view_of_its_jobs(store: Store, active: str) -> None:
    logs.keep_view()
    tags = {"mlflow.parentRunId": active}
    job = store.client.create_run(store.experiment, run_name="job", tags=tags)
    kept = store.client.get_experiment(store.experiment).tags
    view = json.loads(kept[f"mlflow.sharedViewState.{active}"])
    assert "metrics.`pass_at_1/plus`" in view["selectedColumns"]
    order = [f"{view['orderByKey']} DESC"]
    found = store.client.search_runs([store.experiment], view["searchFilter"], order_by=order)
    assert [run.info.run_id for run in found] == [job.info.run_id]


# --- the database


@pytest.mark.skipif(find_spec("psycopg") is not None, reason="it is installed")
def test_a_driver_that_is_not_installed_is_told_with_what_to_type() -> None:
    with pytest.raises(TrackingError) as caught:
        open_experiment("postgresql+psycopg://nowhere/db", None, "x")
    assert str(caught.value) == (
        "MLflow at 'postgresql+psycopg://nowhere/db' needs the package psycopg, which is not "
        "installed. Type: .venv/bin/pip install 'psycopg[binary]', or go without it: "
        "tracking.enabled=false"
    )


def test_an_mlflow_that_cannot_be_imported_is_told_with_what_to_type(tmp_path: Path) -> None:
    (tmp_path / "mlflow.py").write_text("import a_module_that_is_missing")
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    code = (
        "from experiments.tracking.recorder import NewRun, Recorder\n"
        "from pathlib import Path\n"
        "Recorder(NewRun('sqlite:///mlflow.db', None, 'x', 'name', Path())).started()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": path}, cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert "TrackingError: MLflow cannot be imported: No module named 'a_module_that" in done.stderr
    assert "Type: make install-run" in done.stderr


@pytest.mark.parametrize("seconds", [0.0, 0.3])
def test_a_database_whose_creation_was_cut_short_is_made_again(
    tmp_path: Path, seconds: float
) -> None:
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    code = (
        "import sys; from experiments.tracking.opening import open_experiment\n"
        "open_experiment(sys.argv[1], None, 'x')"
    )
    opening = subprocess.Popen([sys.executable, "-c", code, uri], stderr=subprocess.DEVNULL)
    while not list(tmp_path.glob("mlflow.db.part*")) and opening.poll() is None:
        time.sleep(0.002)
    time.sleep(seconds)
    opening.kill()
    opening.wait()
    assert open_experiment(uri, None, "x")
    assert not list(tmp_path.glob("*.part*"))


# --- and back


def test_run_ids_are_told_from_folders() -> None:
    assert is_run_id("0" * 31 + "f")
    assert not is_run_id("outputs/2026-01-31/12-00-00")


def test_an_unknown_run_is_told_with_what_to_type(store: Store, tmp_path: Path) -> None:
    with pytest.raises(TrackingError, match=f"There is no run {'0' * 32} in MLflow.*--uri"):
        fetch(store.uri, "0" * 32, tmp_path)
    with pytest.raises(TrackingError, match=r"There is no MLflow database.*--uri"):
        fetch(f"sqlite:///{tmp_path}/none.db", "0" * 32, tmp_path)


def test_the_jobs_of_a_sweep_are_fetched_and_nothing_else_is_said(
    store: Store, tmp_path: Path
) -> None:
    (tmp_path / "metrics.json").write_text("{}")
    sweep = store.client.create_run(store.experiment, run_name="fetched").info.run_id
    for _ in range(2):
        job = store.client.create_run(store.experiment, tags={"mlflow.parentRunId": sweep})
        store.client.log_artifact(job.info.run_id, str(tmp_path / "metrics.json"))
    code = (
        "import sys; from pathlib import Path; from experiments.tracking.fetching import fetch\n"
        "print(fetch(sys.argv[1], sys.argv[2], Path('fetched')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, store.uri, sweep],
        cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == f"fetched/{sweep}"
    assert done.stderr == ""
    assert len(list(tmp_path.glob(f"fetched/{sweep}/*/metrics.json"))) == 2
