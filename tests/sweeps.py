"""Sweeps of scripted answers that are disturbed, for the tests of launchers and clusters."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from conftest import ROOT, Workplace

from experiments.store import runs

SWEEP = (
    "backend=scripted",
    "backend.mode=mixed",
    "prompt=plain,cot",
    "limit=10",
    "tracking.enabled=false",
)
SLOWLY = ("backend.delay_seconds=0.5",)
"""So that something can happen in between."""


def sweep(
    workplace: Workplace, *arguments: str, **environment: str
) -> "subprocess.CompletedProcess[str]":
    """Run a sweep, and hold that it went well."""
    done = workplace.run("-m", *arguments, **environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def disturbed(
    workplace: Workplace, disturb: Callable[[], None], *arguments: str, **environment: str
) -> "subprocess.CompletedProcess[str]":
    """Run a sweep in which something happens when its first generations are there."""

    is_over = threading.Event()
    failures: list[BaseException | None] = []

    def wait() -> None:
        while not is_over.wait(0.1):
            if has_generations(workplace.folder):
                try:
                    disturb()
                except BaseException as failure:
                    failures.append(failure)
                else:
                    failures.append(None)
                return

    thread = threading.Thread(target=wait)
    thread.start()
    try:
        done = sweep(workplace, *arguments, *SLOWLY, **environment)
    finally:
        is_over.set()
        thread.join()
    assert failures == [None], failures or "nothing happened in between"
    return done


def has_generations(folder: Path) -> bool:
    """Return whether a job of the sweep in a folder has generated something."""
    return any(file.stat().st_size for file in folder.glob("outputs/2*/*/*/generations.jsonl"))


def kill_one(folder: Path, words: str) -> Callable[[], None]:
    """Return what kills one process whose command has some words and that works in a folder."""

    def kill() -> None:
        for process in Path("/proc").glob("[0-9]*"):
            try:
                command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                works_in = Path(os.readlink(process / "cwd"))
            except OSError:
                continue
            if words in command and works_in == folder:
                os.kill(int(process.name), signal.SIGKILL)
                return
        raise AssertionError(f"no process of '{words}'")

    return kill


def outcomes(workplace: Workplace) -> dict[str, list[tuple[str, str]]]:
    """Return the verdicts of each job of the only sweep, by the name of its folder."""
    (folder,) = workplace.folder.glob("outputs/2*/*")
    found = {}
    for job in sorted(folder.glob("[0-9]*")):
        assert not (job / "failure.txt").exists(), (job / "failure.txt").read_text()
        assert runs.is_finished(job)
        keys = [each.key for each in runs.read_generations(job)]
        assert len(keys) == len(set(keys)), "a generation is there twice"
        found[job.name] = [(v.problem_id, v.plus.value) for v in runs.read_verdicts(job)]
    return found


def kept(workplace: Workplace) -> int:
    """Return how many generations were in the store when their job began for the last time."""
    jobs = workplace.folder.glob("outputs/2*/*/[0-9]*")
    return sum(each.cached for job in jobs for each in runs.read_generations(job))


def undisturbed(folder: Path) -> dict[str, list[tuple[str, str]]]:
    """Return what `outcomes` is where nothing happens and no launcher is used."""
    folder.mkdir()
    workplace = Workplace(folder)
    sweep(workplace, *SWEEP)
    return outcomes(workplace)


def tool(name: str, *arguments: str) -> str:
    """Run one of the project's tools and return what it printed."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools" / name), *arguments],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
