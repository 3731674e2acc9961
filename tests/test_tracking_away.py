"""A tracking store that goes away and comes back: nothing is lost, and nothing is there twice."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, Workplace
from test_tracking import sample

from experiments.errors import TrackingAway, TrackingError
from experiments.records import Problem
from experiments.store import claims, runs
from experiments.tracking import notes, syncing, worker
from experiments.tracking.notes import NewRun
from experiments.tracking.opening import open_experiment
from experiments.tracking.recorder import Recorder
from experiments.tracking.syncing import Synced

# The warning is MLflow's own, and the tests make errors of warnings.
pytestmark = [pytest.mark.soak, pytest.mark.filterwarnings("ignore:.*Any type hint")]

SAMPLES = 6
METRICS = {f"number_{n}": n / 7 for n in range(20)} | {"pass_at_1/plus": 1.0} | {
    f"pass_at_1/plus_{end}": 1.0 for end in ("low", "high")
}  # fmt: skip


def finished(folder: Path) -> Path:
    """Return a folder with all that a finished run leaves."""
    folder.mkdir(parents=True, exist_ok=True)
    samples = [sample(number) for number in range(SAMPLES)]
    runs.write_run(
        folder,
        generations=[each.generation for each in samples],
        verdicts=[each.verdict for each in samples],
        programs=[each.solution for each in samples],
        problems=[
            Problem(f"p{number}", "f", "def f(): ...", "", (), ()) for number in range(SAMPLES)
        ],
        manifest={"labels": {"model": "m"}},
        metrics=METRICS,
        prompts=[each.prompt for each in samples],
    )
    return folder


def new(uri: str, folder: Path, name: str = "run") -> NewRun:
    return NewRun(
        uri,
        None,
        "x",
        name,
        tags={"kind": "run", "run_folder": str(folder), "host": socket.gethostname()},
        parameters={f"parameter.{number}": number for number in range(120)},
        dataset=("set", "digest", SAMPLES),
        identity="the same",
        folder=folder,
        system_metrics=False,
    )


def assert_whole(uri: str, count: int = 1) -> None:
    """Hold that MLflow has so many runs, each with all of its parts once."""
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name("x").experiment_id
    found = client.search_runs([experiment])
    assert len(found) == count
    for run in found:
        run_id = run.info.run_id
        assert run.info.status == "FINISHED"
        assert run.info.start_time <= run.info.end_time
        assert len(run.data.params) == 120
        assert run.data.metrics == METRICS
        for name in ("number_3", "pass_at_1/plus"):
            assert len(client.get_metric_history(run_id, name)) == 1
        assert len(run.inputs.dataset_inputs) == 1
        traces = client.search_traces(locations=[experiment], run_id=run_id)
        assert sorted(trace.info.tags["problem"] for trace in traces) == [
            f"p{number}" for number in range(SAMPLES)
        ]
        assert {len(trace.info.assessments) for trace in traces} == {2}
        files = {each.path for each in client.list_artifacts(run_id)}
        assert files >= {"metrics.json", "verdicts.jsonl", "manifest.json"}
        assert claims.CLAIM not in files


class Server:
    """A real tracking server on this machine, that can be stopped, paused and started again."""

    def __init__(self, folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.uri = f"http://127.0.0.1:{self.port}"
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-m", "mlflow", "server", "--workers", "1"),
                *("--backend-store-uri", f"sqlite:///{self._folder}/server.db"),
                *("--artifacts-destination", str(self._folder / "artifacts")),
                *("--host", "127.0.0.1", "--port", str(self.port)),
            ],
            cwd=self._folder,
            env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        deadline = time.monotonic() + 600  # on a busy machine
        while time.monotonic() < deadline:
            try:
                urllib.request.urlopen(f"{self.uri}/health", timeout=2).close()
                return
            except OSError:
                time.sleep(0.5)
        raise TimeoutError("the server does not start")

    def signal(self, number: int) -> None:
        assert self._process is not None
        os.killpg(self._process.pid, number)

    def stop(self) -> None:
        if self._process is not None:
            self.signal(signal.SIGCONT)
            self.signal(signal.SIGKILL)
            self._process.wait()
            self._process = None


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    (tmp_path / "server").mkdir()
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "3")
    monkeypatch.setattr(worker, "patience", lambda uri: 2.0)
    made = Server(tmp_path / "server")
    try:
        made.start()
        yield made
    finally:
        made.stop()


@pytest.mark.parametrize("name", syncing.PASSWORDS)
def test_a_server_that_only_a_folder_names_is_told_no_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Whoever sent the folder may have chosen the server."""
    monkeypatch.setattr(syncing.worker, "bring", lambda *_, **__: None)
    folder, uri = finished(tmp_path / "run"), "https://stranger.example"
    notes.write(notes.opened(new(uri, folder), 0.0))
    assert syncing.sync(folder) is Synced.BROUGHT  # there is no password
    monkeypatch.setenv(name, "hush")
    with pytest.raises(TrackingError, match=r"would be told .* --uri https://stranger\.example"):
        syncing.sync(folder)
    assert syncing.sync(folder, uri) is Synced.BROUGHT
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    assert syncing.sync(folder) is Synced.BROUGHT


def test_a_server_that_stops_in_the_middle_gets_the_rest_later_and_once(
    server: Server, tmp_path: Path
) -> None:
    worker.prepare()
    folder = tmp_path / "run"
    folder.mkdir()
    recorder = Recorder(new(server.uri, folder))
    assert recorder.started().run_id
    server.stop()
    finished(folder)
    recorder.end("FINISHED")
    with pytest.raises(TrackingAway, match="cannot be used"):
        recorder.wait(600)
    note = notes.read(folder)
    assert note is not None
    assert not note.is_complete
    with pytest.raises(TrackingAway):
        syncing.sync(folder)
    server.start()
    assert syncing.sync(folder) is Synced.BROUGHT
    assert syncing.sync(folder) is Synced.THERE
    assert_whole(server.uri)


def test_a_server_that_does_not_answer_for_a_while_has_each_part_once(
    server: Server, tmp_path: Path
) -> None:
    """What it did not answer, it may carry out when it goes on: runs and traces are there twice."""
    worker.prepare()
    folder = finished(tmp_path / "run")
    server.signal(signal.SIGSTOP)
    recorder = Recorder(new(server.uri, folder))
    with pytest.raises(TrackingAway):
        recorder.started()
    recorder.end("FINISHED")
    with pytest.raises(TrackingAway):
        recorder.wait(600)
    server.signal(signal.SIGCONT)
    assert syncing.sync(folder) is Synced.BROUGHT
    assert_whole(server.uri)


@pytest.mark.parametrize("seconds", [2.5, 3.5, 4.5])
def test_a_sync_that_is_killed_leaves_nothing_that_the_next_does_not_mend(
    tmp_path: Path, seconds: float
) -> None:
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    open_experiment(uri, None, "x")
    folder = finished(tmp_path / "run")
    notes.opened(new(uri, folder), time.time())
    command = [sys.executable, "-m", "experiments.tracking.syncing", uri, str(folder)]
    began = subprocess.Popen(command)
    time.sleep(seconds)
    began.kill()
    began.wait()
    worker.prepare()
    assert syncing.sync(folder) in (Synced.BROUGHT, Synced.THERE)
    assert_whole(uri)


def test_what_is_there_in_part_or_twice_is_mended(tmp_path: Path) -> None:
    from mlflow import MlflowClient

    worker.prepare()
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    folder = finished(tmp_path / "run")
    note = notes.opened(new(uri, folder), time.time())
    assert syncing.sync(folder) is Synced.BROUGHT
    client = MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name("x").experiment_id
    (run,) = client.search_runs([experiment])
    traces = client.search_traces(locations=[experiment], run_id=run.info.run_id)
    client.delete_traces(experiment, trace_ids=[traces[0].info.trace_id])
    client.create_run(experiment, tags={notes.KEY: note.key})  # as a late request would
    kept = notes.read(folder)
    assert kept is not None
    notes.write(replace(kept, is_complete=False))
    assert syncing.sync(folder) is Synced.BROUGHT
    assert_whole(uri)


def test_a_database_that_another_process_locks_for_a_while_gets_all(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    open_experiment(uri, None, "x")
    folder = tmp_path / "run"
    folder.mkdir()
    recorder = Recorder(new(uri, folder))
    recorder.started()
    with sqlite3.connect(tmp_path / "mlflow.db", isolation_level=None) as locking:
        locking.execute("BEGIN EXCLUSIVE")
        finished(folder)
        recorder.end("FINISHED")
        assert not recorder.wait(float(os.environ.get("LOCKED_SECONDS", "30")))
        locking.execute("ROLLBACK")
    assert recorder.wait(600)
    assert_whole(uri)


def test_a_database_on_a_full_disk_costs_nothing_of_the_run(tmp_path: Path) -> None:
    own = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c")
    if shutil.which("unshare") is None or subprocess.run([*own, "exit"], check=False).returncode:
        pytest.skip("no mounts of our own here")
    place = tmp_path / "place"
    place.mkdir()
    workplace = Workplace(place)
    (place / "mlruns").mkdir()
    experiments = Path(sys.executable).with_name("experiments")
    script = """
        mount -t tmpfs -o size=1000k none mlruns
        "$0" "$1" backend=scripted limit=4 || exit
        mount -o remount,size=100m mlruns
        flock outputs/20*/*/.lock true
        "$2" sync outputs/20*/*
    """
    done = subprocess.run(
        [*own, script, sys.executable, str(ROOT / "run.py"), str(experiments)],
        cwd=place,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert "pass@1" in done.stdout
    assert "MLflow lacks a part of this" in done.stdout
    assert "brought to MLflow" in done.stdout
    (folder,) = workplace.runs
    note = notes.read(folder)
    assert note is not None
    assert note.is_complete


def test_16_runs_that_log_at_once_to_a_fresh_database_lose_nothing(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    recorders = []
    for number in range(16):
        folder = finished(tmp_path / f"run{number}")
        recorders.append(Recorder(new(uri, folder, f"run {number}")))
    for recorder in recorders:
        recorder.end("FINISHED")
    for recorder in recorders:
        assert recorder.wait(580)
    assert_whole(uri, 16)


def test_a_run_goes_on_when_its_server_dies_and_sync_brings_it(
    server: Server, workplace: Workplace
) -> None:
    environment: dict[str, Any] = {"MLFLOW_TRACKING_URI": server.uri}
    server.stop()
    done = workplace.run("backend=scripted", "limit=2", **environment)
    assert done.returncode == 0, done.stderr
    assert f"warning: MLflow at '{server.uri}' cannot be used" in done.stderr
    assert "MLflow lacks a part of this. To bring it there" in done.stdout
    server.start()
    (folder,) = workplace.runs
    assert syncing.sync(folder) is Synced.BROUGHT
