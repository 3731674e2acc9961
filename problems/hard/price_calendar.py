"""Overlapping price rules, flattened to a calendar by a sweep over their first and last days."""

from collections.abc import Iterator
from heapq import heappop, heappush
from itertools import pairwise
from random import Random

ID = "hard/price_calendar"
TITLE = "Flatten overlapping price rules"
DIFFICULTY = "hard"
TOPICS = ("sweep line", "intervals", "priority queues", "pricing")
ENTRY_POINT = "price_calendar"


def price_calendar(
    rules: list[tuple[int, int, int, int]], closed: list[tuple[int, int]]
) -> list[tuple[int, int, int]]:
    """Return which price a hotel room has when, as periods (first day, last day, price).

    A rule (first, last, priority, price) sets the price for the days from `first` to `last`,
    both included. For each day, the rule with the highest priority counts; of several with
    that priority, the one with the fewest days in all (all the days that the rule is for,
    whether another rule counts on some of them or not); of several again, the one that comes
    last in `rules`.

    `closed` holds periods (first, last), both included, when the hotel is closed: there is no
    price then. Nor is there one on days without a rule. First days are never after last days;
    days are whole numbers, and periods may be millions of days long.

    The periods returned are ascending, they do not overlap and are as long as possible:
    neighbouring days with the same price are in one period, even if the price is due to
    different rules.

    >>> price_calendar([(1, 30, 0, 80), (10, 12, 5, 120)], [])
    [(1, 9, 80), (10, 12, 120), (13, 30, 80)]
    >>> price_calendar([(1, 9, 1, 80), (5, 20, 1, 80), (8, 9, 0, 95)], [(15, 16)])
    [(1, 14, 80), (17, 20, 80)]
    """
    ranked = [
        (-priority, last - first, -number, first, last, price)
        for number, (first, last, priority, price) in enumerate(rules)
    ]
    starts = sorted(ranked, key=lambda rule: rule[3], reverse=True)
    days = {day for first, last, *_ in [*rules, *closed] for day in (first, last + 1)}
    # Between two of these days that follow each other, nothing begins or ends.
    active: list[tuple[int, int, int, int, int, int]] = []
    periods: list[tuple[int, int, int]] = []
    for day, following in pairwise(sorted(days)):
        while starts and starts[-1][3] <= day:
            heappush(active, starts.pop())
        while active and active[0][4] < day:
            heappop(active)
        if not active or any(first <= day <= last for first, last in closed):
            continue
        price = active[0][5]
        if periods and periods[-1][1:] == (day - 1, price):
            periods[-1] = (periods[-1][0], following - 1, price)
        else:
            periods.append((day, following - 1, price))
    return periods


BASE_INPUTS = [
    ([], []),
    ([], [(1, 5)]),
    ([(3, 3, 0, 50)], []),
    ([(1, 30, 0, 80), (10, 12, 5, 120)], []),
    ([(1, 9, 1, 80), (5, 20, 1, 80), (8, 9, 0, 95)], [(15, 16)]),
    ([(1, 10, 1, 70), (3, 5, 2, 90), (6, 8, 2, 90), (9, 9, 0, 60)], []),
    ([(1, 10, 1, 70), (4, 13, 1, 75), (6, 7, 1, 60), (7, 8, 1, 65)], []),
    ([(2, 5, 3, 40), (2, 5, 3, 45), (2, 5, 2, 50), (4, 7, 3, 35)], []),
    ([(1, 4, 0, 10), (6, 9, 0, 10), (10, 12, 0, 10)], [(3, 3), (11, 20)]),
    ([(1, 20, 0, 10), (5, 6, 1, 10), (7, 8, -1, 99)], [(9, 9), (10, 12), (9, 11), (20, 20)]),
    ([(-3000000, 4000000, -2, -1), (-5, 0, -1, 0)], [(-7000000, -2999999)]),
    ([(5, 8, 1, 20), (1, 3, 1, 30), (3, 5, 1, 25), (9, 9, 1, 20)], []),
]


def extra_inputs(random: Random) -> Iterator[tuple]:
    yield ([(1, 1, 0, 0)], [(1, 1)])
    yield ([(1, 3, 0, 5)], [(2, 2)])
    yield ([(1, 9, 0, 5)], [(1, 2), (8, 9), (4, 4)])
    yield ([(1, 2, 0, 5), (3, 4, 0, 6), (5, 6, 0, 5)], [])
    yield ([(1, 2, 0, 5), (4, 5, 0, 5)], [])
    yield ([(1, 2, 0, 5), (4, 5, 0, 5)], [(3, 3)])
    yield ([(10**6, 10**9, 0, 1), (1, 10**7, 0, 2)], [(10**8, 10**8)])
    yield ([(n, 100 - n, n, n % 3) for n in range(50)], [])
    yield ([(n, 100 - n, 0, n % 3) for n in range(50)], [(40, 45)])
    yield ([(n, n + 9, -n, n % 4) for n in range(0, 100, 3)], [])
    for size in range(120):
        most = random.choice([6, 12, 20])

        def period(longest: int, most: int = most) -> tuple[int, int]:
            first = random.randint(0, most)
            return first, first + random.randint(0, longest)

        rules = [
            (*period(random.choice([2, 6])), random.randint(0, 2), random.choice([50, 60, 70]))
            for _ in range(size // 8 + 1)
        ]
        yield (rules, [period(2) for _ in range(random.choice([0, 0, 1, 3]))])
