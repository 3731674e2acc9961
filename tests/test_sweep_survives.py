"""Sweeps that are killed at random moments: the same command ends with the same results.

`SWEEP_KILLS=20` has that many moments tried; `SWEEP_LAUNCHER=joblib` another launcher.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from conftest import ROOT, Workplace
from sweeps import has_generations
from test_resume import make, timeless

from experiments.tracking import notes

if TYPE_CHECKING:
    from mlflow import MlflowClient

KILLS = int(os.environ.get("SWEEP_KILLS", "3"))
LAUNCHER = os.environ.get("SWEEP_LAUNCHER", "basic")

PROBLEMS = 4
SWEEP = (
    "-m",
    "prompt=plain,cot",
    "backend=scripted",
    "backend.mode=reference,mixed",
    "backend.delay_seconds=0.3",
    f"limit={PROBLEMS}",
    f"hydra/launcher={LAUNCHER}",
)


def start(folder: Path, *arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, str(ROOT / "run.py"), *arguments],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def kill_all(sweep: subprocess.Popen[bytes], folder: Path, with_others: bool) -> None:
    """Kill the sweep's process group; with others, also what it started in groups of their own."""
    with_folder = [*processes_in(folder)] if with_others else []
    os.killpg(sweep.pid, signal.SIGKILL)
    for process in with_folder:
        try:
            os.kill(process, signal.SIGKILL)
        except ProcessLookupError:
            continue
    sweep.communicate()


def processes_in(folder: Path) -> list[int]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if os.readlink(process / "cwd") == str(folder):
                found.append(int(process.name))
        except OSError:
            continue
    return found


def results(folder: Path) -> dict[str, Any]:
    """Return the numbers and verdicts of each job, without what they cost."""
    found = {}
    for path in sorted(folder.glob("outputs/*/*/*/metrics.json")):
        verdicts = path.with_name("verdicts.jsonl").read_text(encoding="utf-8").splitlines()
        found[path.parent.name] = (
            timeless(json.loads(path.read_text(encoding="utf-8"))),
            [timeless(json.loads(line)) for line in verdicts],
        )
    return found


def client_of(folder: Path) -> MlflowClient:
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=f"sqlite:///{folder}/mlruns/mlflow.db")


def ended(folder: Path) -> list[Any]:
    """Return the runs in MLflow, when none is said to be running any more."""
    client = client_of(folder)
    deadline = time.monotonic() + 60
    while True:
        runs = list(client.search_runs([e.experiment_id for e in client.search_experiments()]))
        if all(run.info.status != "RUNNING" for run in runs) or time.monotonic() > deadline:
            return runs
        time.sleep(0.5)


def tracked(folder: Path) -> list[Any]:
    """Return the runs in MLflow when they have ended, each with all of its parts once."""
    runs, client = ended(folder), client_of(folder)
    for run in runs:
        if run.data.tags["kind"] == "run":
            traces = client.search_traces(
                locations=[run.info.experiment_id], run_id=run.info.run_id, max_results=100
            )
            assert len(traces) == PROBLEMS
            assert {len(trace.info.assessments) for trace in traces} == {2}
            (history,) = client.get_metric_history(run.info.run_id, "pass_at_1/plus")
            assert history.value == run.data.metrics["pass_at_1/plus"]
            assert len(run.inputs.dataset_inputs) == 1
            assert {"metrics.json", "verdicts.jsonl"} <= {
                each.path for each in client.list_artifacts(run.info.run_id)
            }
    return runs


@pytest.mark.soak
def test_a_sweep_that_is_killed_at_any_moment_ends_like_an_undisturbed_one(tmp_path: Path) -> None:
    undisturbed = make(tmp_path / "undisturbed")
    began = time.monotonic()
    sweep = start(undisturbed, *SWEEP)
    _, said = sweep.communicate()
    seconds = time.monotonic() - began
    assert sweep.returncode == 0, said.decode()
    expected = results(undisturbed)
    assert len(expected) == 4

    chance = random.Random(0)
    kills = rounds = 0
    while kills < KILLS:
        rounds += 1
        folder = make(tmp_path / f"round{rounds}")
        for attempt in range(6):
            sweep = start(folder, *SWEEP)
            may_end = kills >= KILLS or attempt == 5
            try:
                wait = None if may_end else chance.uniform(0.05, 0.8) * seconds
                _, said = sweep.communicate(timeout=wait)
            except subprocess.TimeoutExpired:
                kill_all(sweep, folder, with_others=bool(kills % 2))
                kills += 1
                continue
            assert sweep.returncode == 0, said.decode()
            break
        assert b"Traceback" not in said, said.decode()
        assert results(folder) == expected
        assert len(list(folder.glob("outputs/*/*/multirun.yaml"))) == 1
        runs = tracked(folder)
        assert Counter(run.info.status for run in runs) == {"FINISHED": 5}
        assert len({(run.data.tags["overrides"]) for run in runs}) == 5
        (parent,) = [run for run in runs if run.data.tags["kind"] == "sweep"]
        assert {run.data.tags["mlflow.parentRunId"] for run in runs if run is not parent} == {
            parent.info.run_id
        }


@pytest.mark.soak
@pytest.mark.parametrize("launcher", ["basic", "joblib"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_sweep_that_is_interrupted_leaves_no_process_and_goes_on(
    tmp_path: Path, launcher: str, number: signal.Signals
) -> None:
    if launcher == "joblib":
        pytest.importorskip("hydra_plugins.hydra_joblib_launcher", reason="it is not installed")
    folder = make(tmp_path / "here")
    command = (*SWEEP[:-1], f"hydra/launcher={launcher}")
    sweep = start(folder, *command)
    while not has_generations(folder):
        assert sweep.poll() is None, sweep.communicate()[1].decode()
        time.sleep(0.05)
    if number is signal.SIGINT:
        os.killpg(sweep.pid, number)  # as a terminal does
    else:
        sweep.send_signal(number)
    said = sweep.communicate(timeout=60)[1].decode()
    assert sweep.returncode == 130, said
    assert "the same command goes on" in said
    assert "Traceback" not in said
    runs = ended(folder)
    assert "RUNNING" not in {run.info.status for run in runs}
    (parent,) = [run for run in runs if run.data.tags["kind"] == "sweep"]
    assert parent.info.status == "KILLED"
    deadline = time.monotonic() + 30
    while processes_in(folder) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not processes_in(folder)
    sweep = start(folder, *command)
    said = sweep.communicate(timeout=300)[1].decode()
    assert sweep.returncode == 0, said
    assert len(results(folder)) == 4
    runs = tracked(folder)
    assert Counter(run.info.status for run in runs) == {"FINISHED": 5}
    assert parent.info.run_id in {run.info.run_id for run in runs}


def scripted(workplace: Workplace, *arguments: str) -> subprocess.CompletedProcess[str]:
    return workplace.run(*arguments, "backend=scripted", "limit=2", "tracking.enabled=false")


def test_a_complete_sweep_is_told_as_such_and_not_made_again(workplace: Workplace) -> None:
    first = scripted(workplace, "-m", "prompt=plain,cot")
    assert first.returncode == 0, first.stderr
    numbers = [path.stat().st_mtime_ns for path in workplace.folder.glob("outputs/*/*/*/metrics*")]
    again = scripted(workplace, "-m", "prompt=plain,cot")
    assert again.returncode == 0, again.stderr
    assert "2 jobs are complete and not made again (rerun=all makes all anew)" in again.stderr
    assert "pass@1" in again.stdout
    kept = [path.stat().st_mtime_ns for path in workplace.folder.glob("outputs/*/*/*/metrics*")]
    assert kept == numbers
    anew = scripted(workplace, "-m", "rerun=all", "prompt=plain,cot")
    assert anew.returncode == 0, anew.stderr
    assert len(workplace.runs) == 4


def test_a_complete_run_is_told_as_such_and_made_again_when_its_problems_changed(
    workplace: Workplace,
) -> None:
    workplace.folder.joinpath("problems").unlink()
    own = workplace.folder / "problems" / "easy"
    shutil.copytree(ROOT / "problems" / "easy", own)
    first = scripted(workplace)
    assert first.returncode == 0, first.stderr
    again = scripted(workplace, "tracking.experiment=other")  # which decides no result
    assert "Complete already, and not made again (rerun=all does)" in again.stderr
    assert "pass@1" in again.stdout
    assert len(workplace.runs) == 1
    changed = own / "tag_list.py"
    changed.write_text(changed.read_text().replace('TITLE = "', 'TITLE = "Really: '))
    third = scripted(workplace)
    assert third.returncode == 0, third.stderr
    assert len(workplace.runs) == 2


def test_a_complete_run_that_mlflow_lacks_is_brought_there_by_the_same_command(
    workplace: Workplace,
) -> None:
    """As after a kill between the last file of its folder and the first word to MLflow."""
    command = ("backend=scripted", "limit=2")
    assert workplace.run(*command).returncode == 0
    (folder,) = workplace.runs
    note = notes.read(folder)
    assert note is not None
    shutil.rmtree(workplace.folder / "mlruns")
    notes.write(replace(note, run_id="", experiment_id="", status="", is_complete=False))
    again = workplace.run(*command)
    assert "Complete already, and not made again" in again.stderr
    (run,) = ended(workplace.folder)
    assert run.info.status == "FINISHED"
    assert run.data.metrics["pass_at_1/plus"] == 1.0


def test_a_failed_job_is_tried_again_and_the_others_are_not(workplace: Workplace) -> None:
    command = ("-m", "backend.mode=reference,nonsense")
    first = scripted(workplace, *command)
    assert first.returncode == 1
    assert "1 job failed" in first.stderr
    again = scripted(workplace, *command)
    assert again.returncode == 1
    assert "1 job is complete" in again.stderr
    assert len(list(workplace.folder.glob("outputs/*/*/multirun.yaml"))) == 1
