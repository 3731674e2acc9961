"""Sweeps on a real Slurm, on Ray and with a team's MLflow server, each on this machine.

They need what most machines do not have, take minutes, and are left out without it. Slurm and
PostgreSQL: see the top of tools/slurm.py and of tools/mlflow_server.py. Ray: docs/clusters.md.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from conftest import Workplace
from sweeps import SWEEP, disturbed, kept, kill_one, outcomes, sweep, tool, undisturbed

pytestmark = pytest.mark.soak


@pytest.fixture(scope="module")
def slurm() -> Iterator[dict[str, str]]:
    """The environment of a Slurm of one node; its folder is short, as names of sockets are."""
    pytest.importorskip(
        "hydra_plugins.hydra_submitit_launcher", reason="hydra-submitit-launcher is not installed"
    )
    if os.getuid() != 0 or not all(map(shutil.which, ("slurmctld", "slurmdbd"))):
        pytest.skip("there is no Slurm, or no root to start it: see the top of tools/slurm.py")
    folder = tempfile.mkdtemp(prefix="slurm-", dir="/tmp")
    tool("slurm.py", "start", folder)
    try:
        yield {"SLURM_CONF": f"{folder}/slurm.conf", "FOLDER": folder}
    finally:
        tool("slurm.py", "stop", folder)
        shutil.rmtree(folder, ignore_errors=True)


def test_slurm_runs_the_demo_model_in_an_array(slurm: dict[str, str], workplace: Workplace) -> None:
    asked = ("hydra.launcher.cpus_per_task=1", "limit=2", "prompt=plain,cot")
    sweep(workplace, "+cluster=slurm", *asked, "tracking.enabled=false", **slurm)
    assert len(workplace.runs) == 2
    (script,) = workplace.folder.glob("outputs/2*/*/.submitit/*/*.sh")  # one for both jobs
    lines = script.read_text()
    assert "--array=0-1" in lines
    assert "--mem=2GB" in lines  # 0.4 for the demo model, and 0.7 for what is beside it
    assert "--requeue" in lines


def test_a_job_whose_slurm_node_fails_is_requeued_and_goes_on(
    slurm: dict[str, str], workplace: Workplace, tmp_path: Path
) -> None:
    def fail() -> None:
        tool("slurm.py", "kill-node", slurm["FOLDER"])
        time.sleep(3)
        tool("slurm.py", "start-node", slurm["FOLDER"])

    asked = ("+cluster=slurm", "hydra.launcher.cpus_per_task=1")
    disturbed(workplace, fail, *asked, *SWEEP, **slurm)
    states = subprocess.run(
        ["sacct", "--duplicates", "--noheader", "--format=State"],
        env={**os.environ, **slurm}, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert "NODE_FAIL" in states
    assert outcomes(workplace) == undisturbed(tmp_path / "other")


def test_a_slurm_job_that_runs_out_of_time_is_requeued_and_goes_on(
    slurm: dict[str, str], workplace: Workplace, tmp_path: Path
) -> None:
    """The same folder, and what is in the store is not made again."""
    asked = ("hydra.launcher.cpus_per_task=1", "hydra.launcher.timeout_min=1")
    early = "hydra.launcher.signal_delay_s=20"  # Slurm says so up to 30 s before that
    slowly = "backend.delay_seconds=4"
    sweep(workplace, "+cluster=slurm", *asked, early, *SWEEP, slowly, **slurm)
    logs = [path.read_text() for path in workplace.folder.glob("outputs/2*/*/.submitit/*/*log.err")]
    assert any("this job is timed-out" in text for text in logs), logs
    assert kept(workplace)
    assert outcomes(workplace) == undisturbed(tmp_path / "other")


@pytest.fixture(autouse=True)
def _without_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")


def require_ray() -> None:
    pytest.importorskip("ray", reason="Ray is not installed: see docs/clusters.md")
    pytest.importorskip(
        "hydra_plugins.hydra_ray_launcher", reason="hydra-ray-launcher is not installed"
    )


def start_ray(*arguments: str) -> "subprocess.Popen[bytes]":
    """Start a node of Ray with one core, in a process group of its own."""
    ray = str(Path(sys.executable).parent / "ray")
    return subprocess.Popen(
        [ray, "start", "--block", "--disable-usage-stats", "--num-cpus=1", *arguments],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip


def test_ray_runs_the_demo_model(workplace: Workplace) -> None:
    require_ray()
    asked = ("+cluster=ray", "limit=2", "prompt=plain,cot", "tracking.enabled=false")
    sweep(workplace, *asked)
    assert len(workplace.runs) == 2


@pytest.mark.parametrize("process", ["ray::_run_job", "raylet/raylet"])
def test_a_job_starts_again_whose_ray_worker_or_only_node_is_killed(
    workplace: Workplace, tmp_path: Path, process: str
) -> None:
    require_ray()
    disturbed(workplace, kill_one(workplace.folder, process), "+cluster=ray", *SWEEP)
    assert outcomes(workplace) == undisturbed(tmp_path / "other")


def test_a_job_whose_ray_node_fails_goes_on_on_another(
    workplace: Workplace, tmp_path: Path
) -> None:
    """Two nodes on this machine, a job on each; one is killed with all its processes."""
    require_ray()
    address = "127.0.0.1:6399"
    head = start_ray("--head", "--port=6399", "--include-dashboard=false")
    time.sleep(10)
    other = start_ray(f"--address={address}")

    def fail() -> None:
        os.killpg(other.pid, signal.SIGKILL)

    try:
        asked = ("+cluster=ray", f"hydra.launcher.ray.init.address={address}")
        disturbed(workplace, fail, *asked, *SWEEP)
    finally:
        for process in (other, head):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(60)
    assert other.returncode == -signal.SIGKILL
    assert outcomes(workplace) == undisturbed(tmp_path / "other")


@pytest.fixture(scope="module")
def server() -> Iterator[dict[str, str]]:
    """The environment that names an MLflow server on PostgreSQL, with users."""
    pytest.importorskip("psycopg", reason="psycopg is not installed: see tools/mlflow_server.py")
    pytest.importorskip("flask_wtf", reason="Flask-WTF is not installed: MLflow's users need it")
    if not list(Path("/usr/lib/postgresql").glob("*/bin/initdb")) and not shutil.which("initdb"):
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    folder = tempfile.mkdtemp(prefix="mlflow-", dir="/tmp")
    os.chmod(folder, 0o755)  # PostgreSQL runs as a user of its own
    said = tool("mlflow_server.py", "start", folder)
    try:
        lines = [line.removeprefix("export ") for line in said.splitlines()]
        yield dict(line.split("=", 1) for line in lines)
    finally:
        tool("mlflow_server.py", "stop", folder)
        shutil.rmtree(folder, ignore_errors=True)


TRACKED = ("tracking=server", "backend=scripted", "backend.mode=mixed", "limit=2")


def test_runs_of_two_checkouts_meet_in_the_server(
    server: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow import MlflowClient

    for name in ("here", "there"):
        (tmp_path / name).mkdir()
        done = Workplace(tmp_path / name).run(*TRACKED, **server)
        assert done.returncode == 0, done.stderr
        assert "warning" not in done.stderr
        assert not (tmp_path / name / "mlruns").exists()
    for name, value in server.items():
        monkeypatch.setenv(name, value)
    client = MlflowClient(tracking_uri=server["MLFLOW_TRACKING_URI"])
    experiment = client.get_experiment_by_name("python-code-generation")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id], "tags.kind = 'run'")
    assert {Path(run.data.tags["run_folder"]).relative_to(tmp_path).parts[0] for run in runs} == {
        "here",
        "there",
    }
    assert {run.info.status for run in runs} == {"FINISHED"}
    for run in runs:
        assert "metrics.json" in {each.path for each in client.list_artifacts(run.info.run_id)}
        assert run.info.artifact_uri.startswith("mlflow-artifacts:")


def test_who_has_no_password_is_told_so_and_keeps_the_results(
    server: dict[str, str], workplace: Workplace
) -> None:
    wrong = {**server, "MLFLOW_TRACKING_PASSWORD": "wrong"}
    done = workplace.run(*TRACKED, **wrong)
    assert "Traceback" not in done.stderr
    assert wrong["MLFLOW_TRACKING_URI"] in done.stderr
    assert len(workplace.runs) == 1


def test_without_an_address_the_variable_is_named(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    done = workplace.run(*TRACKED)
    assert done.returncode == 1
    assert "MLFLOW_TRACKING_URI" in done.stderr
    assert "Traceback" not in done.stderr
