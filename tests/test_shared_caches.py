"""What runs keep in `outputs/cache` beside verdicts, made by many processes at once."""

import multiprocessing
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT

from experiments.judge import references
from experiments.judge.references import References, reference_limits
from experiments.problems import own
from experiments.records import Problem
from experiments.sandbox import Sandbox
from experiments.schema import SandboxConfig

PROCESSES = multiprocessing.get_context("spawn")
PROBLEMS = sorted((ROOT / "problems" / "easy").glob("*.py"))[:3]


def load_all(cache: Path) -> dict[str, Problem]:
    found = [own.load_problem(path, cache) for path in PROBLEMS]
    return {problem.id: problem for problem in found}


def use_cache(cache: Path, began: Any) -> None:
    """Load the problems and compute their references, at the same time as others do."""
    began.wait()
    for _ in range(3):
        problems = load_all(cache)
        known = References(problems, cache)
        with Sandbox(reference_limits(SandboxConfig())) as sandbox:
            for name in problems:
                if not known.load(name):
                    known.compute(sandbox, name)


def test_problems_and_references_that_many_processes_keep_at_once_are_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    began = PROCESSES.Barrier(8)
    users = [PROCESSES.Process(target=use_cache, args=(tmp_path, began)) for _ in range(8)]
    for user in users:
        user.start()
    for user in users:
        user.join()
    assert [user.exitcode for user in users] == [0] * 8

    def forbidden(*_: object) -> None:
        raise AssertionError("it is in the cache")

    monkeypatch.setattr(own.run, "check_examples", forbidden)
    monkeypatch.setattr(references, "_compute", forbidden)
    problems = load_all(tmp_path)
    known = References(problems, tmp_path)
    assert [known.load(name) for name in problems] == [True] * 3
    names = {path.name for path in (tmp_path / "problems").iterdir()}
    assert names == {f"easy-{path.stem}.marshal" for path in PROBLEMS}  # no draft is left
