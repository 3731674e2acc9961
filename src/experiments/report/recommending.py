"""Which run to take, for the memory and the patience that one has."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from experiments.report.analysis import against
from experiments.report.collect import Group, Run
from experiments.report.labels import named
from experiments.stats.columns import MEMORY, PASS
from experiments.stats.comparing import Finding
from experiments.stats.costs import is_mixed

GIGABYTES = (4, 8, 16)
SECONDS = (1, 5, 15)
_PER_COMPLETION = "cost/seconds_per_completion"


@dataclass(frozen=True)
class Advice:
    """What to take within a limit.

    Attributes:
        limit: in words; limits with the same advice are told together.
        run: the best that keeps it; None if none does.
        equals: names of others that keep it and are not shown to be worse.
        is_mixed: its cost was in part measured elsewhere, or is not known.
    """

    limit: str
    run: Run | None
    equals: tuple[str, ...] = ()
    is_mixed: bool = False


def recommend(group: Group) -> list[Advice]:
    """Return the best run for each limit of memory that this machine has, and of time.

    Runs whose memory or time is not known (models behind servers, files of earlier versions)
    are left out, as are those that solved nothing. Of runs with the same pass@1 the faster one
    is taken, so that what is recommended lies on the Pareto front. Candidates of a race answered
    other problems each, so that there is no such front.
    """
    if len(group.runs) < 2 or group.race:
        return []
    memory = [gigabytes for gigabytes in GIGABYTES if gigabytes <= _memory(group)]
    return [
        *_advice(group, MEMORY.metric, memory, 1000.0, "GB of memory"),
        *_advice(group, _PER_COMPLETION, SECONDS, 1.0, "s per completion"),
    ]


def advised(advice: Advice) -> str:
    """Return an advice as a sentence without its limit."""
    if advice.run is None:
        return "none of the runs"
    mark = "*" if advice.is_mixed else ""
    told = f"{advice.run.name} ({PASS.number(advice.run.metrics)} %){mark}"
    return f"{told}, not distinguishable from {named(advice.equals)}" if advice.equals else told


def _memory(group: Group) -> float:
    """Return the gigabytes of the largest machine that runs were made on."""
    known = [
        float(found) * 2**30 / 1e9
        for run in group.runs
        if (found := (run.manifest.get("machine") or {}).get("memory_gigabytes"))
    ]
    return max(known, default=float(max(GIGABYTES)))


def _advice(
    group: Group, metric: str, limits: Sequence[int], scale: float, unit: str
) -> list[Advice]:
    """Return what to take within each limit; neighbours with the same advice as one."""
    if not any(metric in run.metrics for run in group.runs):
        return []
    found: list[tuple[list[int], int | None, tuple[str, ...]]] = []
    for limit in limits:
        fitting = [
            index
            for index, run in enumerate(group.runs)
            if run.metrics.get(PASS.metric, 0.0) > 0
            and run.metrics.get(metric, math.inf) <= limit * scale
        ]
        best = min(fitting, key=lambda index: _worth(group, group.runs[index]), default=None)
        equals = () if best is None else _equals(group, best, fitting)
        if found and found[-1][1:] == (best, equals):
            found[-1][0].append(limit)
        else:
            found.append(([limit], best, equals))
    return [
        Advice(
            f"{_listed(same)} {unit}",
            None if best is None else group.runs[best],
            equals,
            best is not None and is_mixed(group.runs[best].metrics),
        )
        for same, best, equals in found
    ]


def _worth(group: Group, run: Run) -> tuple[float, float, float]:
    """Return by what runs are chosen: as they are ranked, among equals the faster, the smaller."""
    return (
        -group.merit(run),
        run.metrics.get(_PER_COMPLETION, math.inf),
        run.metrics.get(MEMORY.metric, math.inf),
    )


def _equals(group: Group, best: int, fitting: Sequence[int]) -> tuple[str, ...]:
    """Return the names of those that fit, too, and are not shown to be worse."""
    names = {group.runs[index].name for index in fitting}
    return tuple(
        pair.second
        for pair in against(group, best)
        if pair.second in names and pair.comparison.finding is not Finding.WORSE
    )


def _listed(limits: Sequence[int]) -> str:
    *some, last = map(str, limits)
    return f"{', '.join(some)} and {last}" if some else last
