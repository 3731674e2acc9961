"""Sweeps through Hydra's launchers: what each job is given, and what follows when one is killed."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from conftest import ROOT, Workplace
from hydra.core.utils import JobReturn
from sweeps import (
    SLOWLY,
    SWEEP,
    disturbed,
    has_generations,
    kept,
    kill_one,
    outcomes,
    sweep,
    undisturbed,
)

from experiments.app import launchers, launching
from experiments.app.launchers import KINDS
from experiments.app.watching import Job, Watch
from experiments.environment.terminal import bar
from experiments.errors import ConfigError
from experiments.experiment.resources import GIBIBYTE, at_once, gibibytes, minutes
from experiments.store import claims, runs


@pytest.mark.parametrize(
    ("needs", "cores", "free", "count"),
    [
        ([1.0] * 8, 4, 100.0, 4),  # a core for each
        ([1.0, 1.0], 8, 100.0, 2),  # no more than there are
        ([30.0, 30.0, 1.0, 1.0], 8, 100.0, 4),
        ([50.0, 50.0, 1.0, 1.0], 8, 100.0, 1),  # the largest two would not fit together
        ([500.0, 1.0], 8, 100.0, 1),  # one at a time, which the run itself may refuse
        ([], 8, 100.0, 1),
    ],
)
def test_jobs_at_once_have_a_core_and_room(
    needs: list[float], cores: int, free: float, count: int
) -> None:
    assert at_once(needs, cores, free) == count


def test_few_sizes_are_asked_of_a_cluster_and_each_holds_its_job() -> None:
    sizes = {gibibytes(need * GIBIBYTE) for need in (0.7, 0.9, 1.0, 5.0, 5.4, 300.0)}
    assert sizes == {1, 2, 6, 334}
    assert [minutes(seconds) for seconds in (0, 3600, 20 * 3600, 1e9)] == [60, 120, 1440, 1440]


def job(folder: Path, name: str = "0", memory: float = 1.0, seconds: float = 0.0) -> Job:
    return Job((f"seed={name}",), name, folder / name, f"seed={name}", 2, memory, seconds)


def test_slurm_gets_an_array_for_jobs_that_ask_for_the_same(tmp_path: Path) -> None:
    jobs = [job(tmp_path, str(n), n * GIBIBYTE, 3600.0 * (n > 4)) for n in (1, 1.2, 5, 5.1)]
    settings = {"mem_gb": "auto", "timeout_min": "auto", "cpus_per_task": 4}
    batches = list(launching._batches("submitit_slurm", settings, jobs, 4))
    assert [len(batch.jobs) for batch in batches] == [2, 2]
    assert [batch.settings["mem_gb"] for batch in batches] == [2, 6]
    assert [batch.settings["timeout_min"] for batch in batches] == [60, 120]
    fixed = list(launching._batches("submitit_slurm", {**settings, "mem_gb": 9}, jobs, 4))
    assert {batch.settings["mem_gb"] for batch in fixed} == {9}


def test_an_error_that_is_no_lost_worker_is_not_taken_for_one() -> None:
    def run(batch: launching.Batch) -> Sequence[JobReturn]:
        raise RuntimeError('Could not detect "srun"')

    for batches in ([launching.Batch((), {})], [launching.Batch((), {})] * 2):
        with pytest.raises(RuntimeError, match="srun"):
            launching._run_all(run, batches, 2)


def test_a_setting_that_no_launcher_has_is_told_in_a_line(workplace: Workplace) -> None:
    """Hydra lets `+key=value` pass, and what the launchers raise is a traceback."""
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher", reason="it is not installed")
    for setting, said in (
        ("+hydra.launcher.foo=1", "There is no setting 'hydra.launcher.foo'"),
        ("hydra.launcher.timeout_min=soon", "hydra.launcher.timeout_min has a wrong value"),
        ("hydra.launcher.n_jobs=some", "hydra.launcher.n_jobs is 'some', which is no"),
    ):
        done = workplace.run("-m", "+cluster=local", setting, *SWEEP)
        assert done.returncode == 1
        assert f"error: {said}" in done.stderr
        assert "conf/hydra/launcher/*.yaml" in done.stderr or "timeout" in setting
        assert "Traceback" not in done.stderr


def test_without_slurm_the_command_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launchers, "get_class", lambda name: object)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ConfigError, match="no Slurm here"):
        launchers.find("submitit_slurm")


def test_each_launcher_that_is_missing_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(launchers, "get_class", lambda name: __import__(f"no_{name[:5]}"))
    packages = {
        "joblib": "hydra-joblib-launcher",
        "submitit_local": "hydra-submitit-launcher",
        "submitit_slurm": "hydra-submitit-launcher",
        "ray": "-e '.[ray]' && .venv/bin/pip install --no-deps hydra-ray-launcher",
    }
    for name in KINDS:
        with pytest.raises(ConfigError, match=re.escape(f"pip install {packages[name]}")):
            launchers.find(name)


def test_a_job_is_over_when_its_folder_says_so_anew(tmp_path: Path) -> None:
    """A race runs jobs in folders where an earlier round has ended."""
    one = job(tmp_path)
    one.folder.mkdir()
    metrics = one.folder / runs.METRICS
    metrics.write_text("{}")
    with bar("Jobs", 1) as progress:
        watch = Watch([one], progress)
        assert not watch.has_ended(one)
        runs.begin(one.folder)
        assert not watch.has_ended(one)
        metrics.with_name(runs.FAILURE).write_text("no\n")
        assert watch.has_ended(one)


def test_a_job_that_is_complete_is_over_when_it_has_looked(tmp_path: Path) -> None:
    """It leaves its result as it is, and is no job that was cut off."""
    one = job(tmp_path)
    one.folder.mkdir()
    (one.folder / runs.METRICS).write_text("{}")
    (one.folder / "manifest.json").write_text('{"labels": {}}')
    with bar("Jobs", 1) as progress:
        watch = Watch([one], progress)
        with claims.claimed(one.folder):
            assert not watch.has_ended(one)
        assert watch.has_ended(one)


def test_a_job_that_is_given_up_says_so_in_its_folder(tmp_path: Path) -> None:
    one = job(tmp_path)
    with bar("Jobs", 1) as progress:
        Watch([one], progress).give_up(one, "a worker was killed")
    assert "a worker was killed" in (one.folder / runs.FAILURE).read_text()


def test_without_the_plugin_the_sweep_ends_in_a_line(workplace: Workplace) -> None:
    """Whatever is installed here: a plugin that cannot be imported is none."""
    (workplace.folder / "hydra_plugins").mkdir()
    broken = workplace.folder / "hydra_plugins" / "hydra_joblib_launcher"
    broken.mkdir()
    (broken / "__init__.py").write_text("raise ImportError('not here')\n")
    path = os.pathsep.join([str(workplace.folder), os.environ.get("PYTHONPATH", "")])
    done = workplace.run("-m", "hydra/launcher=joblib", *SWEEP, PYTHONPATH=path)
    assert done.returncode == 1
    assert "pip install hydra-joblib-launcher" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture
def joblib_launcher() -> None:
    pytest.importorskip(
        "hydra_plugins.hydra_joblib_launcher", reason="hydra-joblib-launcher is not installed"
    )


@pytest.fixture
def submitit() -> None:
    pytest.importorskip("submitit", reason="submitit is not installed")
    pytest.importorskip(
        "hydra_plugins.hydra_submitit_launcher", reason="hydra-submitit-launcher is not installed"
    )


@pytest.mark.soak
@pytest.mark.usefixtures("joblib_launcher")
def test_joblib_runs_the_demo_model_with_one_progress(workplace: Workplace) -> None:
    done = sweep(
        workplace, "hydra/launcher=joblib", "prompt=plain,cot", "limit=2", "hydra.launcher.n_jobs=2"
    )
    assert len(workplace.runs) == 2
    assert "Generating" not in done.stderr  # a job's own bar
    assert "plain: done, pass@1" in done.stderr
    assert "Jobs 2/2" in done.stderr
    assert {(f / "manifest.json").exists() for f in workplace.runs} == {True}


@pytest.mark.soak
@pytest.mark.usefixtures("joblib_launcher", "submitit")
@pytest.mark.parametrize(
    ("launcher", "process", "said"),
    [
        ("hydra/launcher=joblib", "loky.backend.popen_loky", "were cut off, and start again"),
        ("+cluster=local", "submitit.core._submit", "1 of 2 jobs were cut off, and start again"),
    ],
)
def test_a_job_whose_worker_is_killed_starts_again(
    workplace: Workplace, tmp_path: Path, launcher: str, process: str, said: str
) -> None:
    kill = kill_one(workplace.folder, process)
    done = disturbed(workplace, kill, launcher, "hydra.launcher.n_jobs=2", *SWEEP)
    assert said in done.stderr
    assert outcomes(workplace) == undisturbed(tmp_path / "other")


@pytest.mark.soak
@pytest.mark.usefixtures("submitit")
def test_a_job_that_runs_out_of_time_is_requeued_and_goes_on(
    workplace: Workplace, tmp_path: Path
) -> None:
    """By submitit's checkpoint: the same folder, and what is in the store is not made again."""
    # The local executor tells a job 30 s before its time, of which there is a minute, is over.
    asked = ("+cluster=local", "hydra.launcher.n_jobs=2", "hydra.launcher.timeout_min=1")
    sweep(workplace, *asked, *SWEEP, "backend.delay_seconds=4")
    logs = [path.read_text() for path in workplace.folder.glob("outputs/2*/*/.submitit/*/*log.err")]
    assert any("this job is timed-out" in text for text in logs)
    assert kept(workplace)
    assert outcomes(workplace) == undisturbed(tmp_path / "other")


@pytest.mark.soak
@pytest.mark.usefixtures("submitit")
def test_the_plugins_own_configuration_works_as_well(workplace: Workplace, tmp_path: Path) -> None:
    sweep(workplace, "hydra/launcher=submitit_local", *SWEEP)
    assert outcomes(workplace) == undisturbed(tmp_path / "other")


@pytest.mark.soak
@pytest.mark.usefixtures("submitit")
@pytest.mark.parametrize(
    ("launcher", "reason"),
    [
        (
            ("+cluster=local", "hydra.launcher.retries=0"),
            "was cut off each time that it was started",
        ),
        (("hydra/launcher=submitit_local",), "The launcher gave up when a job's process died"),
    ],
)
def test_a_job_that_is_killed_each_time_is_told_as_failed(
    workplace: Workplace, launcher: tuple[str, ...], reason: str
) -> None:
    started = subprocess.Popen(
        [sys.executable, str(ROOT / "run.py"), "-m", *launcher, *SWEEP, *SLOWLY],
        cwd=workplace.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    while not has_generations(workplace.folder):
        assert started.poll() is None
        time.sleep(0.1)
    kill_one(workplace.folder, "submitit.core._submit")()
    said, _ = started.communicate(timeout=300)
    assert started.returncode == 1, said
    assert reason in said
    assert "Traceback" not in said
    assert "pass@1 %" in said
    assert len(workplace.runs) == 1
    assert list(workplace.folder.glob("outputs/2*/*/report.html"))
