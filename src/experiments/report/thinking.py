"""What thinking is worth: runs that differ in `thinking` alone, and what a solved problem takes."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from experiments.report.analysis import Pair, compared, sentence
from experiments.report.collect import Group, Run
from experiments.report.labels import context
from experiments.stats.columns import PER_SOLVED, percent
from experiments.stats.comparing import Comparison

LABEL = "thinking"

MODES = ("off", "low", "medium", "high", "on")
"""From the least thought to the most."""


@dataclass(frozen=True)
class Worth:
    """A run that thinks, against the one that thinks less and is the same otherwise.

    Attributes:
        context: what both have in common, where there are several such pairs.
        less, more: their modes.
        base, run: the runs.
        comparison: of pass@1; the second run is the one that thinks.
    """

    context: str
    less: str
    more: str
    base: Run
    run: Run
    comparison: Comparison


def worth(group: Group, labels: Sequence[str]) -> list[Worth]:
    """Return each run that thinks compared with the one that thinks least.

    A mode that was left to the model is its file's default. There is none for candidates of a
    race, which answered other problems each.

    Args:
        group: of runs on the same data set.
        labels: in which the runs differ.
    """
    if group.race or LABEL not in labels:
        return []
    contexts: dict[str, dict[str, Run]] = defaultdict(dict)
    for run in group.runs:
        if (mode := _mode(run)) in MODES:
            contexts[context(run.labels, labels, LABEL)].setdefault(mode, run)
    asked = []
    for common, by_mode in contexts.items():
        least, *rest = sorted(by_mode, key=MODES.index)
        base = by_mode[least]
        asked += [
            (common, least, more, base, by_mode[more])
            for more in rest
            if base.rates.keys() & by_mode[more].rates.keys()
        ]
    made = compared([[(base, run)] for *_, base, run in asked])
    return [Worth(*each, one) for each, one in zip(asked, made, strict=True)]


def _mode(run: Run) -> str:
    mode = run.labels.get(LABEL, "")
    return mode if mode in MODES else str(run.config.get("model.thinking.default") or "")


def tokens_per_solved(run: Run) -> float | None:
    """Return how many new tokens, of thoughts and answers, a solved problem takes.

    Samples count in part, and equal ones (greedy) are paid once, as for seconds.
    """
    solved = math.fsum(run.rates.values())
    once = {(each.problem_id, each.key): each.new_tokens for each in run.generations}
    return sum(once.values()) / solved if once and solved else None


def thought_share(run: Run) -> float | None:
    """Return which part of the new tokens were thoughts; None: none of them, or not known."""
    new = run.metrics.get("tokens/new")
    return run.metrics.get("tokens/thought", 0.0) / new if new else None


def unfinished(run: Run) -> float:
    """Return the share of generations that ended before the answer."""
    return run.metrics.get("thoughts/unfinished", 0.0)


def _tokens(run: Run) -> str:
    number = tokens_per_solved(run)
    return "" if number is None else f"{number:,.0f}"


NUMBERS: dict[str, Callable[[Run], str]] = {
    "s/solved": lambda run: PER_SOLVED.number(run.metrics),
    "tokens/solved": _tokens,
    "thought %": lambda run: percent(thought_share(run)),
    "unfinished %": lambda run: percent(unfinished(run)),
}
"""What is shown of both runs, as it is written."""


def cost(run: Run) -> str:
    """Return what a solved problem took, to stand behind a name."""
    if not math.fsum(run.rates.values()):
        return "solved none"
    seconds, tokens = PER_SOLVED.number(run.metrics), _tokens(run)
    parts = [f"{seconds} s" if seconds else "", f"{tokens} tokens" if tokens else ""]
    return f"took {' and '.join(filter(None, parts)) or 'what is not known'}"


def finding(found: Worth) -> str:
    """Return what thinking changed, in a sentence."""
    where = f"{found.context}: " if found.context else ""
    less, more = f"thinking={found.less}", f"thinking={found.more}"
    return f"{where}{sentence(Pair(less, more, found.context, found.comparison))}."


def costs(found: Worth) -> str:
    """Return what a solved problem took with more and less thought, in a sentence."""
    where = f" of {found.context}" if found.context else ""
    return (
        f"Per solved problem{where}, thinking={found.more} {cost(found.run)}, "
        f"thinking={found.less} {cost(found.base)}."
    )


def remedy(found: Worth) -> str:
    """Return what to do about thoughts that did not end; nothing if all did."""
    share = unfinished(found.run)
    if not share:
        return ""
    return (
        f"{100 * share:.0f} % of the thoughts of thinking={found.more} were not finished, and "
        "count as not solved: set sampling.max_tokens higher, or a thinking_budget below it."
    )
