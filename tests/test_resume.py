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

KILLS = int(os.environ.get("KILLS", "20"))
COSTS = ("seconds", "cached", "shared", "speed/", "cost/", "engine/")
"""What names of numbers have in them that may differ from run to run."""

ARGUMENTS = [
    "limit=10",
    "sampling.max_tokens=64",
    "backend.parallel=2",
    "backend.threads=1",
    "tracking.enabled=false",
    "hydra.run.dir=run",
]


def start(folder: Path) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, str(ROOT / "run.py"), *ARGUMENTS],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


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
def test_a_run_that_is_killed_at_any_moment_ends_like_an_undisturbed_one(tmp_path: Path) -> None:
    began = time.monotonic()
    undisturbed = make(tmp_path / "undisturbed")
    done = start(undisturbed)  # quantizes the model, which the others find
    _, told = done.communicate()
    assert done.returncode == 0, told.decode()
    seconds = time.monotonic() - began
    expected = results(undisturbed)
    assert len(expected["generations"]) == len(expected["verdicts"]) == 10

    chance = random.Random(0)
    kills = rounds = 0
    while kills < KILLS:
        rounds += 1
        folder = make(tmp_path / f"round{rounds}")
        for attempt in range(6):
            run = start(folder)
            may_end = kills >= KILLS or attempt == 5
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
    run = start(folder)
    store = folder / "outputs" / "store"
    while run.poll() is None and not list(store.glob("*.jsonl")):
        time.sleep(0.01)
    run.send_signal(signal.SIGINT)
    _, told = run.communicate(timeout=60)
    assert run.returncode == 130, told.decode()
    assert "same command" in told.decode()
    assert "Traceback" not in told.decode()
    kept = sum(len(path.read_text().splitlines()) for path in store.iterdir())
    assert kept >= 1
    again = start(folder)
    _, told = again.communicate()
    assert again.returncode == 0, told.decode()
    metrics = json.loads((folder / "run" / "metrics.json").read_text())
    assert metrics["count/cached"] >= kept


def make(folder: Path) -> Path:
    """Return a folder to run in, with some of the problems."""
    folder.mkdir()
    made = Workplace(folder).folder
    made.joinpath("problems").unlink()
    shutil.copytree(ROOT / "problems" / "easy", made / "problems" / "easy")
    return made
