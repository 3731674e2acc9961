"""What runs keep in `outputs/cache`, made by many processes at once."""

import multiprocessing
import os
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT

from experiments.judge import judge, references
from experiments.judge.references import References
from experiments.problems import own
from experiments.records import Dataset, Outcome, Problem, Solution

PROCESSES = multiprocessing.get_context("spawn")
PROBLEMS = sorted((ROOT / "problems" / "easy").glob("*.py"))[:3]


def load_all(cache: Path) -> tuple[Problem, ...]:
    return tuple(own.load_problem(path, cache) for path in PROBLEMS)


def use_cache(cache: Path, log: Path, began: Any) -> None:
    """Load the problems and judge them, at the same time as others do; log what is computed."""
    compute = References.compute

    def computing(self: References, sandbox: Any, name: str) -> None:
        compute(self, sandbox, name)
        (log / f"{name.replace('/', '-')} {os.getpid()}").touch()

    References.compute = computing
    began.wait()
    for number in range(3):
        problems = load_all(cache)
        programs = [each.reference + "\n" * number for each in problems]
        samples = [
            Solution(each.id, 0, text) for each, text in zip(problems, programs, strict=True)
        ]
        with judge(samples, Dataset("some", "digest", problems), cache_folder=cache) as judging:
            assert {each.plus for each in judging} == {Outcome.PASSED}


def test_of_many_processes_at_once_one_computes_and_all_find_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache, log = tmp_path / "cache", tmp_path / "log"
    log.mkdir()
    began = PROCESSES.Barrier(8)
    users = [PROCESSES.Process(target=use_cache, args=(cache, log, began)) for _ in range(8)]
    for user in users:
        user.start()
    for user in users:
        user.join()
    assert [user.exitcode for user in users] == [0] * 8
    assert len(list(log.iterdir())) == len(PROBLEMS)

    def forbidden(*_: object) -> None:
        raise AssertionError("it is in the cache")

    monkeypatch.setattr(own.run, "check_examples", forbidden)
    monkeypatch.setattr(references, "_compute", forbidden)
    problems = load_all(cache)
    known = References({each.id: each for each in problems}, cache)
    assert [known.load(each.id) for each in problems] == [True] * 3
    names = {path.name for path in (cache / "problems").iterdir()}
    assert names == {f"easy-{path.stem}.json" for path in PROBLEMS}  # no draft is left
