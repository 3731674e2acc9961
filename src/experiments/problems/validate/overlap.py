"""Is a problem taken from a public set? By common word sequences and by names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from experiments.problems.validate.report import Finding
from experiments.records import Problem

WORDS = 10
"""So many words in the same order are no accident."""

_WORD = re.compile(r"\w+")


def overlaps(problems: Iterable[Problem], known: Iterable[Problem]) -> list[Finding]:
    """Return the problems whose statement or name is in a public set, too."""
    sequences: dict[tuple[str, ...], str] = {}
    names: dict[str, str] = {}
    for other in known:
        names.setdefault(other.entry_point.lower(), other.id)
        for sequence in _sequences(other):
            sequences.setdefault(sequence, other.id)
    findings = []
    for problem in problems:
        if problem.entry_point.lower() in names:
            findings.append(
                Finding(
                    problem.id,
                    f"{names[problem.entry_point.lower()]} has the entry point "
                    f"{problem.entry_point}, too. Rename it, if the problem is another one.",
                )
            )
        for sequence in _sequences(problem):
            if sequence in sequences:
                findings.append(
                    Finding(
                        problem.id,
                        f"{sequences[sequence]} has these words, too: "
                        f'"{" ".join(sequence)}". Say it in other words, or take another problem.',
                    )
                )
                break
    return findings


def _sequences(problem: Problem) -> Iterator[tuple[str, ...]]:
    words = [word.lower() for word in _WORD.findall(problem.prompt)]
    for start in range(len(words) - WORDS + 1):
        yield tuple(words[start : start + WORDS])
