"""How far two who grade the same things agree, beyond what chance would bring.

Sources: Cohen, "A Coefficient of Agreement for Nominal Scales", Educational and Psychological
Measurement 20 (1960), 37-46: kappa. Fleiss, Cohen and Everitt, "Large sample standard errors of
kappa and weighted kappa", Psychological Bulletin 72 (1969), 323-327, equation 13: its error.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from experiments.stats.intervals import CONFIDENCE, Interval, normal_quantile, wilson_interval


@dataclass(frozen=True)
class Agreement:
    """Cohen's kappa of two reviewers.

    Attributes:
        items: that both graded.
        agreed: share of them on which both say the same.
        kappa: 1 where they always agree, 0 where chance would do as well; None where each of
            them says one and the same of all, so that there is nothing to agree beyond.
        interval: of kappa, with 95 %; None likewise.
    """

    items: int
    agreed: float
    kappa: float | None
    interval: Interval | None


def cohens_kappa(pairs: Sequence[tuple[Hashable, Hashable]]) -> Agreement | None:
    """Return the agreement on some items; None if there is no item.

    Where all agree the error is 0, and the interval is that of the share of agreement (Wilson),
    at the chance that was seen.

    Args:
        pairs: what the first and the second say of each item.
    """
    count = len(pairs)
    if not count:
        return None
    cells = Counter(pairs)
    rows, columns = Counter(first for first, _ in pairs), Counter(second for _, second in pairs)
    agreed = sum(n for (first, second), n in cells.items() if first == second) / count
    chance = sum(rows[each] * columns[each] for each in rows) / count**2
    if chance == 1:
        return Agreement(count, agreed, None, None)
    kappa = (agreed - chance) / (1 - chance)
    if agreed == 1:
        least = wilson_interval(count, count).low
        return Agreement(count, agreed, kappa, Interval((least - chance) / (1 - chance), 1.0))
    diagonal = sum(
        cells[each, each] / count * (1 - (rows[each] + columns[each]) / count * (1 - kappa)) ** 2
        for each in rows
    )
    beside = sum(
        n / count * ((columns[first] + rows[second]) / count) ** 2
        for (first, second), n in cells.items()
        if first != second
    )
    variance = diagonal + (1 - kappa) ** 2 * beside - (kappa - chance * (1 - kappa)) ** 2
    error = math.sqrt(max(0.0, variance) / count) / (1 - chance)
    half = normal_quantile(CONFIDENCE) * error
    return Agreement(
        count, agreed, kappa, Interval(max(-1.0, kappa - half), min(1.0, kappa + half))
    )
