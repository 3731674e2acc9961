"""Judge the mutants of references: how many do the tests kill?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from experiments.environment.terminal import bar
from experiments.errors import did_you_mean
from experiments.judge import judge
from experiments.problems.validate.mutation import Mutant, mutants
from experiments.problems.validate.report import Finding, MutationScore, Survivor
from experiments.records import Dataset, Outcome, Problem, Solution, Verdict
from experiments.schema import SandboxConfig

SETTINGS = SandboxConfig(
    minimum_cpu_seconds=0.3,
    memory_megabytes=1024,
    load_cpu_seconds=2.0,
    stop_at_first_failure=True,
)
"""A mutant that runs on without end is as dead as any other, and shall not cost seconds."""


@dataclass(frozen=True)
class Subject:
    """A problem whose reference is to be mutated, and what its file says of mutants.

    Attributes:
        lines: for each line of the reference its line in the file; empty: the same.
        where: what lines are told of.
        equivalent: changes that are called equivalent, with their reasons.
    """

    problem: Problem
    where: str
    lines: Sequence[int] = ()
    equivalent: Mapping[str, str] = field(default_factory=dict)

    def place(self, mutant: Mutant) -> str:
        """Return the file and line of a change."""
        line = self.lines[mutant.line - 1] if self.lines else mutant.line
        return f"{self.where}:{line}"


def scores(
    subjects: Sequence[Subject], dataset: Dataset, workers: int | None, cache_folder: Path
) -> tuple[list[MutationScore], list[Finding]]:
    """Return what the tests do to the mutants of each problem, and what is wrong in the lists."""
    made = {
        subject.problem.id: list(mutants(subject.problem.reference, subject.problem.entry_point))
        for subject in subjects
    }
    solutions = [
        Solution(problem_id, place, mutant.source)
        for problem_id, found in made.items()
        for place, mutant in enumerate(found)
    ]
    verdicts: dict[str, dict[int, Verdict]] = {problem_id: {} for problem_id in made}
    settings = replace(SETTINGS, workers=workers)
    with (
        bar("Mutants", len(solutions)) as progress,
        judge(solutions, dataset, settings, cache_folder) as judging,
    ):
        for verdict in progress.each(judging):
            verdicts[verdict.problem_id][verdict.sample] = verdict
            progress.remark(verdict.problem_id)
    results, findings = [], []
    for subject in subjects:
        problem_id = subject.problem.id
        score, wrong = _score(subject, made[problem_id], verdicts[problem_id])
        results.append(score)
        findings += wrong
    return results, findings


def _score(
    subject: Subject, found: Sequence[Mutant], verdicts: Mapping[int, Verdict]
) -> tuple[MutationScore, list[Finding]]:
    survivors, findings = [], []
    killed_by_base = killed = 0
    for place, mutant in enumerate(found):
        verdict = verdicts[place]
        base_kills = verdict.base is not Outcome.PASSED
        kills = verdict.plus is not Outcome.PASSED
        reason = subject.equivalent.get(mutant.change, "")
        if kills and reason:
            findings.append(_not_equivalent(subject, mutant, verdict))
            reason = ""
        killed_by_base += base_kills
        killed += kills
        if not base_kills:
            survivors.append(Survivor(subject.place(mutant), mutant.change, not kills, reason))
    changes = {mutant.change for mutant in found}
    findings += [
        _unknown(subject, change, changes) for change in subject.equivalent if change not in changes
    ]
    score = MutationScore(
        problem_id=subject.problem.id,
        mutants=len(found),
        equivalent=sum(bool(survivor.reason) for survivor in survivors),
        killed_by_base=killed_by_base,
        killed=killed,
        survivors=tuple(survivors),
    )
    return score, findings


def _not_equivalent(subject: Subject, mutant: Mutant, verdict: Verdict) -> Finding:
    failure = verdict.failure
    how = (
        f"{failure.call} gives {failure.actual}, not {failure.expected}"
        if failure
        else verdict.plus.value
    )
    return Finding(
        subject.where,
        f"EQUIVALENT_MUTANTS lists {mutant.change}, but the tests kill it: {how}. "
        "Take it out of the list.",
    )


def _unknown(subject: Subject, change: str, changes: set[str]) -> Finding:
    hint = did_you_mean(change, changes)
    if not hint.startswith("Did you mean"):
        hint = "Take it out of the list."
    if change.startswith("line "):
        hint = "Changes are listed without their line: leave out `line N: `."
    return Finding(
        subject.where, f"EQUIVALENT_MUTANTS lists {change}, but there is no such mutant. {hint}"
    )
