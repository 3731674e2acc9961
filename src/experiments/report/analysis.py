"""A collection of runs → what can be said of it: comparisons, fronts, orders, breakdowns.

Numbers only; how they look is for the tables, the plots and the page.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from statistics import fmean
from typing import Any

from experiments.records import Outcome, ProblemInfo, Verdict
from experiments.report import racing
from experiments.report.collect import KINDS, Group, Run, Sample
from experiments.report.labels import context, named
from experiments.stats.comparing import Comparison, Finding, compare, same_programs
from experiments.stats.intervals import Interval, wilson_interval

UNPAIRED = frozenset({"dataset", "limit"})
"""Labels whose levels are not asked the same problems."""

PUBLISHED = "published/plus"

BITS = "weights/bits_per_weight"

MOST_PAIRS = 200
"""More comparisons than this say nothing once they are corrected for being so many."""


@dataclass(frozen=True)
class Pair:
    """Two levels of an axis, compared on the same problems.

    Attributes:
        first, second: the levels; differences are second minus first.
        context: what both runs have in common; empty for the mean over all contexts.
        comparison: the finding, which allows for the other pairs beside it.
    """

    first: str
    second: str
    context: str
    comparison: Comparison


@dataclass(frozen=True)
class Axis:
    """A label in which runs differ, with each level paired with each other.

    Attributes:
        label: `prompt`, `quantization`, ...
        contexts: settings of the other labels that have at least two levels.
        overall: each pair of levels, on the mean over the contexts that have both.
        single: the same in each context; empty if there is only one.
    """

    label: str
    contexts: int
    overall: tuple[Pair, ...]
    single: tuple[Pair, ...] = ()


@lru_cache(maxsize=32)
def axes(group: Group, labels: tuple[str, ...]) -> list[Axis]:
    """Return each label's levels paired with each other, all else being equal.

    The terminal, the page and the table of Markdown ask for the same, and with many runs it is
    half of their time, so it is kept.

    None of a race, whose own tests allow for the problems at which it stopped; these do not.
    """
    if group.race:
        return []
    found = []
    for label in labels:
        if label in UNPAIRED:
            continue
        contexts: dict[str, dict[str, Run]] = defaultdict(dict)
        for run in group.runs:
            rest = context(run.labels, labels, label)
            contexts[rest].setdefault(run.labels.get(label, ""), run)
        paired = {name: runs for name, runs in contexts.items() if len(runs) > 1}
        levels = {level for runs in paired.values() for level in runs}
        if paired and math.comb(len(levels), 2) <= MOST_PAIRS:
            found.append(_axis(label, paired))
    return found


def against_the_best(group: Group) -> list[Pair]:
    """Return the best run compared with each other one."""
    return against(group, 0)


@lru_cache(maxsize=32)
def against(group: Group, index: int) -> list[Pair]:
    """Return one run of a group compared with each other one.

    The run was chosen by the same results, so the comparisons allow for all pairs of runs,
    each of which might have been shown here. None of a race, as for `axes`.
    """
    if group.race:
        return []
    chosen = group.runs[index]
    others = [
        run for run in group.runs if run is not chosen and run.rates.keys() & chosen.rates.keys()
    ]
    together = math.comb(len(group.runs), 2)
    made = compared([[(chosen, run)] for run in others], together=together)
    return [Pair(chosen.name, run.name, "", each) for run, each in zip(others, made, strict=True)]


def sentence(pair: Pair) -> str:
    """Return what a comparison says, in one sentence."""
    made = pair.comparison
    points = abs(100 * made.difference)
    match made.finding:
        case Finding.BETTER:
            return f"{pair.second} is better than {pair.first}, by {points:.1f} points"
        case Finding.WORSE:
            return f"{pair.second} is worse than {pair.first}, by {points:.1f} points"
        case Finding.EQUAL:
            return f"{pair.second} and {pair.first} differ by less than 5 points"
        case Finding.SAME:
            return f"{pair.second} and {pair.first} wrote the same programs"
        case _:
            return f"{pair.second} against {pair.first} is not known yet{_to_know(made)}"


def _to_know(made: Comparison) -> str:
    if made.needed is None:
        return ""
    number = f"some {rounded(made.needed.problems):,} problems"
    if made.needed.shows == "equality":
        return f": {number} would show that they differ by less than 5 points"
    return f": {number} would show which is better"


def compared(
    questions: Sequence[Sequence[tuple[Run, Run]]], together: int | None = None
) -> list[Comparison]:
    """Return what came out of comparisons that are made together.

    Args:
        questions: pairs of runs; results of several pairs are averaged problem by problem.
        together: how many comparisons there were to choose from; default: these.
    """
    same = [all(_same(*pair) for pair in pairs) for pairs in questions]
    rates = [
        (_mean_rates([first for first, _ in pairs]), _mean_rates([second for _, second in pairs]))
        for pairs in questions
    ]
    asked = [each for each, equal in zip(rates, same, strict=True) if not equal]
    made = iter(compare(asked, together=together))
    return [
        same_programs(second) if equal else next(made)
        for (_, second), equal in zip(rates, same, strict=True)
    ]


def _same(first: Run, second: Run) -> bool:
    """Return whether two runs have the same program for each problem and sample.

    A byte for byte copy of a model does, and so may a neighbouring quantization.
    """
    one, other = (
        {(each.problem_id, each.sample): each.program for each in run.samples}
        for run in (first, second)
    )
    return one == other and any(one.values()) and first.rates == second.rates


def rounded(number: int) -> int:
    """Return a number with two digits that count: an estimate has no more."""
    digits = max(0, len(str(number)) - 2)
    return int(round(number, -digits))


def front(points: Sequence[tuple[float, float]]) -> list[bool]:
    """Return which points (cost, gain) no other beats in one without losing in the other."""
    return [
        not any(
            (other[0] <= cost and other[1] >= gain) and other != (cost, gain) for other in points
        )
        for cost, gain in points
    ]


def by_ease(group: Group) -> list[ProblemInfo]:
    """Return the problems in the order of the map: solved by most of the runs asked first.

    Among equals, those come first that better runs solve, so that the border between solved
    and not runs as straight as it can.
    """
    total: dict[str, float] = {
        problem.id: fmean([run.rates[problem.id] for run in group.runs if problem.id in run.rates])
        for problem in group.problems
        if any(problem.id in run.rates for run in group.runs)
    }

    def key(problem: ProblemInfo) -> tuple[float, list[float], str]:
        return (
            -total.get(problem.id, 0.0),
            [-run.rates.get(problem.id, 0.0) for run in group.runs],
            problem.id,
        )

    return sorted(group.problems, key=key)


@dataclass(frozen=True)
class Extraction:
    """pass@1 of one run under three rules of what a completion's program is.

    Attributes:
        strict: the asked format or nothing; None where the run does not say.
        ours: our extraction.
        sanitizer: EvalPlus's sanitizer; None if it was not asked.
        rescued: right programs in completions that lost the format.
        wrong: samples with a wrong program, or none.
    """

    strict: float | None
    ours: float
    sanitizer: float | None
    rescued: int
    wrong: int


def extraction(run: Run) -> Extraction:
    """Return how much of a run's score depends on how its completions are read."""
    known = all(sample.format_kept is not None for sample in run.samples)
    strict = _mean_rate(run.samples, lambda a: a.passed and bool(a.format_kept))
    return Extraction(
        strict=strict if known and run.samples else None,
        ours=_mean_rate(run.samples, lambda a: a.passed),
        sanitizer=_mean_rate(run.sanitized, lambda v: v.plus is Outcome.PASSED)
        if run.sanitized
        else None,
        rescued=sum(a.passed and a.format_kept is False for a in run.samples),
        wrong=sum(not a.passed for a in run.samples),
    )


def kinds(run: Run) -> dict[str, int]:
    """Return how often each kind of outcome came, passes with and without the format apart."""
    counted: Counter[str] = Counter()
    for sample in run.samples:
        lost = sample.kind == KINDS[0] and sample.format_kept is False
        counted[FORMAT_LOST if lost else sample.kind] += 1
    return {kind: counted[kind] for kind in ALL_KINDS}


FORMAT_LOST = "passed_format_lost"
ALL_KINDS = (KINDS[0], FORMAT_LOST, *KINDS[1:])


@dataclass(frozen=True)
class Slice:
    """Some problems of a data set, and the share that each run solves; None: it was asked none."""

    name: str
    problems: int
    shares: tuple[tuple[float, Interval] | None, ...]


def by_difficulty(group: Group) -> list[Slice]:
    """Return the runs' pass@1 by difficulty, in the order of the data set."""
    return _slices(group, lambda problem: filter(None, [problem.difficulty]))


def by_topic(group: Group) -> list[Slice]:
    """Return the runs' pass@1 by topic, the commonest topic first."""
    found = _slices(group, lambda problem: problem.topics)
    return sorted(found, key=lambda topic: (-topic.problems, topic.name))


def agreement(first: Run, second: Run) -> float | None:
    """Return the share of problems on which two runs have the same result."""
    common = first.rates.keys() & second.rates.keys()
    if not common:
        return None
    return fmean(1.0 - abs(first.rates[p] - second.rates[p]) for p in common)


@dataclass(frozen=True)
class Together:
    """What the runs of a group do together.

    Attributes:
        by_any: problems that at least one run solves.
        asked: problems that every run was asked.
        by_all: those of them that every run solves.
        alone: those of them that one run alone solves, with its name.
    """

    by_any: int
    asked: int
    by_all: int
    alone: Mapping[str, str]


def together(group: Group) -> Together:
    """Return what is solved by any run, by all, and by one alone."""
    solvers = {
        problem.id: [run.name for run in group.runs if run.rates.get(problem.id, 0.0) > 0]
        for problem in group.problems
    }
    asked = [p for p in solvers if all(p in run.rates for run in group.runs)]
    return Together(
        by_any=sum(bool(names) for names in solvers.values()),
        asked=len(asked),
        by_all=sum(len(solvers[problem]) == len(group.runs) for problem in asked),
        alone={problem: solvers[problem][0] for problem in asked if len(solvers[problem]) == 1}
        if len(group.runs) > 1
        else {},
    )


def headline(group: Group) -> str:
    """Return the main result in one or two sentences."""
    if group.race:
        return racing.headline(group.race)
    best, *others = group.runs
    share = best.metrics.get("pass_at_1/plus")
    if share is None:
        return f"{best.name} has no verdicts on {group.dataset}."
    low, high = (100 * best.metrics[f"pass_at_1/plus_{end}"] for end in ("low", "high"))
    equals = [
        run.name
        for run in others
        if run.metrics.get("pass_at_1/plus") == share and len(run.rates) == len(best.rates)
    ]
    solved = f"{named([best.name, *equals])} {'solve' if equals else 'solves'}"
    where = "" if group.dataset == "problems" else f" in {group.dataset}"
    problems = "the one problem" if len(best.rates) == 1 else f"the {len(best.rates)} problems"
    told = (
        f"{solved} {100 * share:.1f} % of {problems}{where} "
        f"(95 % interval {low:.0f} to {high:.0f})."
    )
    compared = against_the_best(group) if others else []
    if not compared:
        return told
    if len(others) == 1:
        return f"{told} {sentence(compared[0])}."
    rest = [pair for pair in compared if pair.second not in equals]
    unsettled = [p.second for p in rest if p.comparison.finding is not Finding.WORSE]
    if not rest:
        return told
    if not unsettled:
        who = "They are" if equals else "It is"
        return f"{told} {who} better than each of the other {len(rest)}."
    if len(unsettled) == len(rest):
        return f"{told} None of the other {len(rest)} is shown to be worse."
    verb = "is" if len(unsettled) == 1 else "are"
    return f"{told} Of the other {len(rest)}, {named(unsettled)} {verb} not shown to be worse."


def sources(runs: Sequence[Run]) -> list[str]:
    """Return where the published figures are from, of those runs that have some."""
    found = {run.config.get("model.published.source") for run in runs if PUBLISHED in run.metrics}
    return sorted(str(each) for each in found if each)


def shared_settings(runs: Sequence[Run]) -> tuple[dict[str, str], dict[str, list[str]]]:
    """Return the settings that all runs share, and those in which they differ, per run."""
    keys = dict.fromkeys(key for run in runs for key in run.config)
    shared, differing = {}, {}
    for key in keys:
        given = (run.config.get(key) for run in runs)
        values = ["" if value is None else str(value) for value in given]
        if len(set(values)) == 1:
            shared[key] = values[0]
        else:
            differing[key] = values
    return shared, differing


def _axis(label: str, contexts: Mapping[str, Mapping[str, Run]]) -> Axis:
    levels = _levels(contexts)
    found: dict[tuple[str, str], dict[str, tuple[Run, Run]]] = {}
    for first, second in combinations(levels, 2):
        both = {n: (c[first], c[second]) for n, c in contexts.items() if first in c and second in c}
        both = {n: (a, b) for n, (a, b) in both.items() if a.rates.keys() & b.rates.keys()}
        if both:
            found[first, second] = both
    overall = compared([[*both.values()] for both in found.values()])
    places = [(name, context) for name, both in found.items() for context in both]
    if len(contexts) == 1 or len(places) > MOST_PAIRS:
        places = []
    single = compared([[found[name][context]] for name, context in places])
    return Axis(
        label,
        len(contexts),
        tuple(Pair(*name, "", made) for name, made in zip(found, overall, strict=True)),
        tuple(
            Pair(*name, context, made) for (name, context), made in zip(places, single, strict=True)
        ),
    )


def _levels(contexts: Mapping[str, Mapping[str, Run]]) -> list[str]:
    """Return the levels; those of quantization from many bits to few, others by name."""
    bits: dict[str, float] = {}
    for runs in contexts.values():
        for level, run in runs.items():
            bits.setdefault(level, run.metrics.get(BITS, 0.0))
    return sorted(bits, key=lambda level: (-bits[level], level))


def _mean_rates(runs: Sequence[Run]) -> dict[str, float]:
    """Return, for the problems that all of these runs have, the mean of their rates."""
    common = set.intersection(*(set(run.rates) for run in runs))
    return {problem: fmean(run.rates[problem] for run in runs) for problem in sorted(common)}


def _mean_rate(samples: Sequence[Sample | Verdict], passed: Callable[[Any], bool]) -> float:
    """Return pass@1: the mean over problems of the share of samples that pass."""
    results: dict[str, list[bool]] = defaultdict(list)
    for sample in samples:
        results[sample.problem_id].append(passed(sample))
    return fmean(fmean(each) for each in results.values()) if results else 0.0


def _slices(group: Group, names: Callable[[ProblemInfo], Iterable[str]]) -> list[Slice]:
    members: dict[str, list[str]] = defaultdict(list)
    for problem in group.problems:
        for name in names(problem):
            members[name].append(problem.id)
    return [
        Slice(name, len(problems), tuple(_share(run, problems) for run in group.runs))
        for name, problems in members.items()
    ]


def _share(run: Run, problems: Sequence[str]) -> tuple[float, Interval] | None:
    rates = [run.rates[problem] for problem in problems if problem in run.rates]
    if not rates:
        return None
    return fmean(rates), wilson_interval(sum(rates), len(rates))
