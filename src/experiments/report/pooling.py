"""Runs of one question that differ in their seed alone → one run with all their samples."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from experiments.environment.terminal import counted
from experiments.records import Generation, RunReport, Solution
from experiments.report.collect import Run, Sample
from experiments.report.labels import is_beside
from experiments.stats.costs import Measured
from experiments.stats.metrics import summarise

_OF_THE_FILE = ("weights/", "published/")


def pooled(runs: Sequence[Run]) -> tuple[list[Run], list[str]]:
    """Return the runs, those that differ in nothing but their seed as one, and what was done.

    They would compete with each other as if their seeds were better or worse. Of runs that
    repeat each other word for word (the same command again, another seed where decoding is
    greedy), one stays.
    """
    questions: dict[tuple[object, ...], list[Run]] = defaultdict(list)
    for run in runs:
        questions[_question(run)].append(run)
    different = [_different(same) for same in questions.values()]
    notes = []
    if repeated := len(runs) - sum(map(len, different)):
        notes.append(
            f"Left out, since they repeat others word for word: {counted(repeated, 'run')}."
        )
    if joined := sum(len(each) for each in different if len(each) > 1):
        notes.append(
            f"{counted(joined, 'run')} differ in the seed alone: samples of the same question."
        )
    return [_joined(each) if len(each) > 1 else each[0] for each in different], notes


def _question(run: Run) -> tuple[object, ...]:
    """Return what equal questions have in common; unlike that of any other run if unknown."""
    if "seed" not in run.config or not run.generations:
        return (run.report.folder,)
    settings = {k: v for k, v in run.config.items() if not is_beside(k)}
    weights = (run.manifest.get("weights") or {}).get("sha256")
    digest = (run.manifest.get("dataset") or {}).get("sha256")
    asked = tuple(problem.id for problem in run.problems)
    return (weights, digest, asked, repr(sorted(settings.items(), key=str)))


def _different(same: Sequence[Run]) -> list[Run]:
    """Return those of the runs that have other generations than the ones before them."""
    found: dict[object, Run] = {}
    for run in same:
        made = frozenset((g.problem_id, g.sample, g.key, g.text) for g in run.generations)
        found.setdefault(made or run.report.folder, run)
    return list(found.values())


def _joined(runs: Sequence[Run]) -> Run:
    """Return runs as one, whose samples are numbered one after the other."""
    samples: list[Sample] = []
    generations: list[Generation] = []
    offset = 0
    for run in runs:
        for sample in run.samples:
            number = sample.sample + offset
            verdict = replace(sample.verdict, sample=number)
            samples.append(replace(sample, sample=number, verdict=verdict))
        for generation in run.generations:
            moved = replace(generation, sample=generation.sample + offset, cached=True)
            generations.append(moved)
        offset += 1 + max((sample.sample for sample in run.samples), default=0)
    first = runs[0]
    metrics = summarise(
        [sample.verdict for sample in samples],
        [
            Solution(s.problem_id, s.sample, s.program, s.format_kept, s.syntax_valid)
            for s in samples
        ],
        generations,
        first.problems,
        Measured(made_on=first.generations[0].made_on),
    )
    kept = {k: v for k, v in first.metrics.items() if k.startswith(_OF_THE_FILE)}
    report = RunReport({**metrics, **kept}, first.report.folder, first.labels, first.report.note)
    order = {problem.id: number for number, problem in enumerate(first.problems)}
    samples.sort(key=lambda sample: (order.get(sample.problem_id, len(order)), sample.sample))
    return replace(
        first,
        report=report,
        samples=tuple(samples),
        generations=tuple(generations),
        sanitized=(),
        pooled=tuple(run.report.folder for run in runs),
    )
