"""Real runs, killed at random moments: the same command ends with the same files."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, Workplace

COSTS = ("megabytes", "seconds", "cached", "shared", "verdicts_kept", "speed/", "cost/", "engine/")
"""What names of numbers have in them that may differ from run to run."""

ARGUMENTS = [
    "limit=10",
    "sampling.max_tokens=64",
    "backend.parallel=2",
    "backend.threads=1",
    "tracking.enabled=false",
    "hydra.run.dir=run",
]


def start(folder: Path, *more: str, within: tuple[str, ...] = ()) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [*within, sys.executable, str(ROOT / "run.py"), *ARGUMENTS, *more],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def finish(run: "subprocess.Popen[bytes]") -> None:
    _, told = run.communicate()
    assert run.returncode == 0, told.decode()


def results(folder: Path) -> dict[str, Any]:
    """Return what the run's files say, without what it cost."""
    found: dict[str, Any] = {}
    for name in ("generations", "verdicts", "samples"):
        lines = (folder / "run" / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
        found[name] = [timeless(json.loads(line)) for line in lines]
    found["metrics"] = timeless(json.loads((folder / "run" / "metrics.json").read_text()))
    return found


def timeless(data: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in data.items() if not any(cost in k for cost in COSTS)}


def workers_of(folder: Path) -> list[int]:
    """Return the processes that hold a model for a run in this folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes()
            place = os.readlink(process / "cwd")
        except OSError:
            continue
        if b"llama_cpp.worker" in command and place == str(folder):
            found.append(int(process.name))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("wanted", [5, pytest.param(20, marks=pytest.mark.soak)])
def test_a_run_that_is_killed_at_any_moment_ends_like_an_undisturbed_one(
    tmp_path: Path, wanted: int
) -> None:
    began = time.monotonic()
    undisturbed = make(tmp_path / "undisturbed")
    finish(start(undisturbed))  # quantizes the model, which the others find
    seconds = time.monotonic() - began
    expected = results(undisturbed)
    assert len(expected["generations"]) == len(expected["verdicts"]) == 10

    chance = random.Random(0)
    kills = rounds = 0
    while kills < wanted:
        rounds += 1
        folder = make(tmp_path / f"round{rounds}")
        for attempt in range(6):
            run = start(folder)
            may_end = kills >= wanted or attempt == 5
            try:
                _, told = run.communicate(
                    timeout=None if may_end else chance.uniform(0.1, 0.9) * seconds
                )
            except subprocess.TimeoutExpired:
                run.send_signal(signal.SIGKILL)
                run.communicate()
                kills += 1
                continue
            assert run.returncode == 0, told.decode()
            break
        assert results(folder) == expected
        shards = (folder / "outputs" / "store").iterdir()
        store = [line for shard in shards for line in shard.read_text().splitlines()]
        keys = [json.loads(line)["key"] for line in store if line.strip()]
        assert len(keys) == len(set(keys)) == 10  # nothing was made twice
        for _ in range(100):
            if not workers_of(folder):
                break
            time.sleep(0.05)
        assert not workers_of(folder)


def test_an_interrupted_run_says_how_to_go_on_and_does(tmp_path: Path) -> None:
    folder = make(tmp_path / "here")
    run = start(folder, "tracking.enabled=true")
    store = folder / "outputs" / "store"
    while run.poll() is None and not list(store.glob("*.jsonl")):
        time.sleep(0.01)
    run.send_signal(signal.SIGINT)
    interrupted = time.monotonic()
    _, told = run.communicate(timeout=60)
    assert time.monotonic() - interrupted < 2
    assert run.returncode == 130, told.decode()
    assert "same command" in told.decode()
    assert "Traceback" not in told.decode()
    kept = sum(len(path.read_text().splitlines()) for path in store.iterdir())
    assert kept >= 1
    finish(start(folder))
    metrics = json.loads((folder / "run" / "metrics.json").read_text())
    assert metrics["count/cached"] >= kept


@pytest.mark.slow
def test_a_run_whose_disk_was_full_goes_on_once_there_is_space(tmp_path: Path) -> None:
    own = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c")
    small = (
        'mount -t tmpfs -o size=24k none outputs && "$@"; code=$?; cp -r outputs kept; exit $code'
    )
    if shutil.which("unshare") is None or subprocess.run([*own, "exit"], check=False).returncode:
        pytest.skip("no mounts of our own here")
    undisturbed = make(tmp_path / "undisturbed")
    finish(start(undisturbed))

    folder = make(tmp_path / "full")
    (folder / "outputs").mkdir()
    run = start(folder, "hydra.run.dir=outputs/run", within=(*own, small, "sh"))
    _, told = run.communicate()
    assert run.returncode == 1, told.decode()
    assert "The disk is full" in told.decode()
    assert "Traceback" not in told.decode()

    (folder / "outputs").rmdir()
    (folder / "kept").rename(folder / "outputs")  # what was on the full disk
    (folder / "outputs" / "run").rename(folder / "run")
    finish(start(folder))
    assert results(folder) == results(undisturbed)
    assert not (folder / "run" / "failure.txt").exists()


def make(folder: Path) -> Path:
    """Return a folder to run in, with some of the problems."""
    folder.mkdir()
    made = Workplace(folder).folder
    made.joinpath("problems").unlink()
    shutil.copytree(ROOT / "problems" / "easy", made / "problems" / "easy")
    return made
