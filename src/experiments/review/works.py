"""Runs → works: what there is to grade. Equal programs of a problem are one work."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from experiments.errors import StoreError
from experiments.records import Outcome, ProblemInfo, Solution, Verdict, by_sample
from experiments.store import runs

NEARLY = 0.8
"""Share of tests from which on a program that fails may have the right idea with a slip."""

PASSED = "passed"
FORMAT_LOST = "passed, format lost"
NEARLY_PASSED = "nearly passed"
FAILED = "failed"
NO_PROGRAM = "no program"
KINDS = (PASSED, FORMAT_LOST, NEARLY_PASSED, FAILED, NO_PROGRAM)
"""What the tests say of a work, in an order in which neighbours are alike."""


@dataclass(frozen=True)
class Place:
    """Where a sample is.

    Attributes:
        folder: of its run.
        problem_id, sample: within the run.
    """

    folder: Path
    problem_id: str
    sample: int


@dataclass(frozen=True)
class Work:
    """What a person grades: a program, and the answer that it was in.

    Attributes:
        digest: SHA-256 of program and whether the format was kept, or of the answer where
            there is no program.
        problem: what was asked.
        text: the answer.
        program: empty if none was found.
        format_kept: None where the run does not say.
        verdict: what the tests say; equal works have equal ones.
        places: the samples that it stands for.
        is_disputed: some sample of the problem passes and another fails.
    """

    digest: str
    problem: ProblemInfo
    text: str
    program: str
    format_kept: bool | None
    verdict: Verdict
    places: tuple[Place, ...]
    is_disputed: bool = False

    @property
    def passed(self) -> bool:
        """Whether it passes all tests."""
        return self.verdict.plus is Outcome.PASSED

    @cached_property
    def kind(self) -> str:
        """What the tests say, one of `KINDS`."""
        if self.passed:
            return FORMAT_LOST if self.format_kept is False else PASSED
        if not self.program.strip():
            return NO_PROGRAM
        total = self.verdict.tests_total
        near = total and self.verdict.tests_passed >= NEARLY * total
        return NEARLY_PASSED if near else FAILED


def works(folders: Sequence[Path]) -> list[Work]:
    """Return what there is to grade in some runs, in the order of the problems.

    Raises:
        StoreError: a folder holds no finished run, or one of programs without their answers.
    """
    first: dict[tuple[str, str], tuple[ProblemInfo, str, str, bool | None, Verdict]] = {}
    places: dict[tuple[str, str], list[Place]] = {}
    passed: dict[str, set[bool]] = {}
    for folder in folders:
        runs.read_report(folder)
        answers = by_sample(runs.read_generations(folder))
        if not answers:
            raise StoreError(
                f"{folder} has no generations, so there is nothing to read",
                "Name the folder of a run that `python run.py` made.",
            )
        problems = {problem.id: problem for problem in runs.read_problems(folder)}
        programs = by_sample(runs.read_programs(folder))
        for verdict in runs.read_verdicts(folder):
            sample = verdict.problem_id, verdict.sample
            answer, found = answers.get(sample), programs.get(sample, Solution(*sample, ""))
            text = (answer.text or answer.thought) if answer else ""
            key = verdict.problem_id, digest(found.program, text, found.format_kept)
            problem = problems.get(verdict.problem_id, ProblemInfo(verdict.problem_id))
            first.setdefault(key, (problem, text, found.program, found.format_kept, verdict))
            places.setdefault(key, []).append(Place(folder, *sample))
            passed.setdefault(verdict.problem_id, set()).add(verdict.plus is Outcome.PASSED)
    return [
        Work(key[1], *about, tuple(places[key]), len(passed[key[0]]) > 1)
        for key, about in first.items()
    ]


def digest(program: str, text: str, format_kept: bool | None) -> str:
    """Return by what equal works are known."""
    content = f"{format_kept}\n{program}" if program.strip() else f"no program\n{text}"
    return hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()
